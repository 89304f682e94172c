/**
 * Conversations in the browser's IndexedDB. A second store has what the list and the search need,
 * so that not all conversations with their images are read when the page opens.
 */

import { searchText } from "./conversation.js";

const NAME = "litert-lm-cli";
const FULL = "conversations";
const LIST = "list";

let opening = null;
let memory = null; // where the browser has no storage

function open() {
  opening ??= new Promise((resolve, reject) => {
    const wanted = indexedDB.open(NAME, 1);
    wanted.onupgradeneeded = () => {
      wanted.result.createObjectStore(FULL, { keyPath: "id" });
      wanted.result.createObjectStore(LIST, { keyPath: "id" });
    };
    wanted.onsuccess = () => resolve(wanted.result);
    wanted.onerror = () => reject(wanted.error);
  });
  return opening;
}

/** Open the storage. Resolves to false where conversations are lost when the page is closed. */
export async function openStorage() {
  try {
    await open();
    return true;
  } catch {
    memory = { [FULL]: new Map(), [LIST]: new Map() };
    return false;
  }
}

async function transaction(mode, work) {
  const database = await open();
  return new Promise((resolve, reject) => {
    const running = database.transaction([FULL, LIST], mode);
    const result = work(running.objectStore(FULL), running.objectStore(LIST));
    running.oncomplete = () => resolve(result?.result);
    running.onerror = running.onabort = () => reject(running.error);
  });
}

/** `{id, title, updated, text}` of all conversations, newest first. */
export async function listConversations() {
  const found = memory
    ? [...memory[LIST].values()]
    : await transaction("readonly", (full, list) => list.getAll());
  return found.sort((a, b) => b.updated - a.updated);
}

export async function loadConversation(id) {
  if (memory) return memory[FULL].get(id);
  return transaction("readonly", (full) => full.get(id));
}

export async function allConversations() {
  if (memory) return [...memory[FULL].values()];
  return transaction("readonly", (full) => full.getAll());
}

export async function saveConversation(conversation) {
  const { id, title, updated } = conversation;
  const entry = { id, title, updated, text: searchText(conversation) };
  if (memory) {
    memory[FULL].set(id, conversation);
    memory[LIST].set(id, entry);
    return;
  }
  await transaction("readwrite", (full, list) => {
    full.put(conversation);
    list.put(entry);
  });
}

export async function removeConversation(id) {
  if (memory) {
    memory[FULL].delete(id);
    memory[LIST].delete(id);
    return;
  }
  await transaction("readwrite", (full, list) => {
    full.delete(id);
    list.delete(id);
  });
}

export async function removeAllConversations() {
  if (memory) {
    memory[FULL].clear();
    memory[LIST].clear();
    return;
  }
  await transaction("readwrite", (full, list) => {
    full.clear();
    list.clear();
  });
}

/** A small setting such as the theme; null where there is none. */
export function getSetting(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function setSetting(name, value) {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    // Storage is blocked.
  }
}
