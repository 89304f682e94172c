/** The page: which conversation is shown, and what happens when its parts are used. */

import { getJson } from "./api.js";
import { Answers } from "./answers.js";
import { Composer } from "./composer.js";
import { addMessage, choose, createConversation, path, pathTo, versions } from "./conversation.js";
import { announce, byId, confirmAction, toast } from "./dom.js";
import { MessageList } from "./messages.js";
import { Models } from "./models.js";
import { ChatSettings, Preferences, lastSettings } from "./settings.js";
import { Sidebar } from "./sidebar.js";
import * as storage from "./storage.js";
import { exportConversations, readConversations } from "./transfer.js";

const LAST_MODEL = "model";
const UNSAVED = "unsaved-answers";
const RECONNECT_EVERY_MS = 3000;
const FINE_POINTER = matchMedia("(hover: hover) and (pointer: fine)");
const NAME = "litert-lm-cli";

let current = createConversation();
let reconnecting = null;

const answers = new Answers({ started, grew, ended, save });
const models = new Models({ chosen: chooseModel, failed: showProblem, removed: showModel });
const messages = new MessageList(byId("messages"), byId("scroller"), {
  edit,
  regenerate,
  choose: chooseVersion,
  fix,
  fixLabel,
});
const composer = new Composer({ send, stop: () => answers.stop(current.id), editLast });
const settings = new ChatSettings((changed) => {
  Object.assign(current, changed);
  saveIfKept();
});
const sidebar = new Sidebar({ rename, remove, exportOne, create: () => go(null) });
const preferences = new Preferences({ keyChanged: connect, exportAll, importFile, deleteAll });

// --- The conversation that is shown ---

function show() {
  const shown = path(current);
  messages.show(current, shown);
  byId("empty").hidden = shown.length > 0;
  composer.setRunning(answers.isRunning(current));
  sidebar.show(current.id, new Set(answers.running.keys()));
  document.title = current.title ? `${current.title} - ${NAME}` : NAME;
}

async function showConversation(conversation) {
  current = conversation;
  settings.show(current);
  show();
  messages.toEnd();
  await showModel();
}

/** Open the conversation of the address, or a new one. */
async function route() {
  const id = location.hash.slice(1);
  const found = id && (answers.conversation(id) ?? (await storage.loadConversation(id)));
  if (found) {
    // An answer of a page that was closed or reloaded.
    for (const message of found.messages.values()) {
      if (message.status === "streaming" && !answers.isRunning(found)) message.status = "stopped";
    }
    await showConversation(found);
    return;
  }
  const model = storage.getSetting(LAST_MODEL) ?? "";
  await showConversation(createConversation({ ...lastSettings(), model }));
  if (FINE_POINTER.matches) composer.area.focus();
}

/** Show the conversation `id`, or a new one for null. */
function go(id) {
  sidebar.leave();
  if (location.hash.slice(1) === (id ?? "")) route();
  else if (id) location.hash = id;
  else {
    history.pushState(null, "", location.pathname);
    route();
  }
}

async function save(conversation) {
  try {
    await storage.saveConversation(conversation);
    await sidebar.refresh();
  } catch (error) {
    toast(`The conversation cannot be saved: ${error.message}`);
  }
}

function saveIfKept() {
  if (current.messages.size) save(current);
}

// --- Messages and answers ---

function send(text, images) {
  if (answers.isRunning(current)) return false;
  if (!current.model) {
    models.open();
    return false;
  }
  const last = path(current).at(-1) ?? null;
  answer(addMessage(current, last, { role: "user", text, images }));
  return true;
}

async function answer(message) {
  const conversation = current;
  await answers.stop(conversation.id);
  if (location.hash.slice(1) !== conversation.id) {
    history.replaceState(null, "", `#${conversation.id}`);
  }
  answers.start(conversation, message);
  messages.toEnd();
}

function edit(message, text) {
  const parent = current.messages.get(message.parent) ?? null;
  answer(addMessage(current, parent, { role: "user", text, images: message.images }));
}

function regenerate(message) {
  const parent = current.messages.get(message.parent);
  // An answer that failed before it began is no version of its own.
  if (message.status === "error" && !message.text && !message.thinking) {
    current.messages.delete(message.id);
  }
  answer(parent);
}

function chooseVersion(message, label) {
  choose(current, message);
  show();
  messages.focusVersions(message, label);
  announce(`Version ${versions(current, message).indexOf(message) + 1}`);
  saveIfKept();
}

function editLast() {
  const last = path(current).findLast((message) => message.role === "user");
  if (last && !answers.isRunning(current)) messages.edit(last);
}

function started(conversation, message) {
  if (conversation === current) show();
  announce("Answering");
  models
    .isLoaded(message.model)
    .then((loaded) => {
      if (!loaded) message.waiting = `Loading ${message.model}`;
      grew(message);
    })
    .catch(() => {});
}

function grew(message) {
  messages.grew(message);
}

function ended(conversation, message) {
  const stopFocused = document.activeElement === byId("stop");
  if (conversation === current) {
    show();
    if (stopFocused) composer.area.focus();
  } else {
    sidebar.show(current.id, new Set(answers.running.keys()));
  }
  if (message.status !== "error")
    announce(message.status === "stopped" ? "Stopped" : "Answer complete");
}

// --- Problems ---

const FIXES = { key: "Enter the API key", missing: "Models" };

function fixLabel(message) {
  return FIXES[message.errorKind] ?? "Try again";
}

function fix(message) {
  if (message.errorKind === "key") preferences.open({ key: true });
  else if (message.errorKind === "missing") models.open(message.model);
  else regenerate(message);
}

function showProblem(error) {
  byId("problem-text").textContent = error.message;
  byId("problem-fix").textContent = error.kind === "key" ? FIXES.key : "Try again";
  byId("problem-fix").onclick = () => {
    if (error.kind === "key") preferences.open({ key: true });
    else connect();
  };
  byId("problem").hidden = false;
  clearTimeout(reconnecting);
  if (error.kind === "offline") {
    reconnecting = setTimeout(async () => {
      try {
        await getJson("health");
        connect();
      } catch {
        showProblem(error);
      }
    }, RECONNECT_EVERY_MS);
  }
}

/** Ask for the models (again). */
async function connect() {
  clearTimeout(reconnecting);
  if (await models.refresh()) {
    byId("problem").hidden = true;
    await showModel();
  }
}

// --- Models ---

function chooseModel(name) {
  current.model = name;
  if (name) storage.setSetting(LAST_MODEL, name);
  saveIfKept();
  showModel();
}

/** Show the conversation's model; a new conversation gets one that is there. */
async function showModel() {
  const conversation = current;
  if (!current.messages.size && !models.has(current.model)) {
    current.model = models.installed[0]?.name ?? "";
  }
  models.show(current.model);
  byId("empty-model").textContent = current.model
    ? `Ask ${current.model.split("/").at(-1)} something.`
    : "This server has no models yet.";
  byId("get-model").hidden = Boolean(current.model);
  const capabilities = await models.capabilitiesOf(current.model);
  if (conversation !== current) return;
  composer.setVision(capabilities.includes("vision"));
  byId("think-field").hidden = !capabilities.includes("thinking");
}

// --- All conversations ---

async function rename(id, title) {
  const conversation = id === current.id ? current : await storage.loadConversation(id);
  conversation.title = title;
  await save(conversation);
  if (id === current.id) show();
}

async function remove(id, title) {
  if (!(await confirmAction(`Delete the conversation “${title}”?`, "Delete"))) return;
  await answers.stop(id);
  await storage.removeConversation(id);
  await sidebar.refresh();
  if (id === current.id) go(null);
}

async function exportOne(id) {
  exportConversations([id === current.id ? current : await storage.loadConversation(id)]);
}

async function exportAll() {
  exportConversations(await storage.allConversations());
}

async function importFile(file) {
  try {
    const read = await readConversations(file);
    for (const conversation of read) await storage.saveConversation(conversation);
    await sidebar.refresh();
    preferences.dialog.close();
    toast(
      read.length === 1 ? "1 conversation imported." : `${read.length} conversations imported.`,
    );
    if (read.length === 1) go(read[0].id);
  } catch (error) {
    toast(error.message);
  }
}

async function deleteAll() {
  if (!(await confirmAction("Delete all conversations of this browser?", "Delete all"))) return;
  await Promise.all([...answers.running.keys()].map((id) => answers.stop(id)));
  await storage.removeAllConversations();
  await sidebar.refresh();
  preferences.dialog.close();
  go(null);
}

/** Save the ends of answers that were being generated when the page was closed. */
async function restoreUnsaved() {
  const unsaved = JSON.parse(storage.getSetting(UNSAVED) ?? "[]");
  storage.setSetting(UNSAVED, null);
  for (const { id, message, text, thinking } of unsaved) {
    const conversation = await storage.loadConversation(id);
    const stored = conversation?.messages.get(message);
    if (stored?.status !== "streaming") continue;
    Object.assign(stored, { text, thinking, status: "stopped" });
    await storage.saveConversation(conversation);
  }
}

// --- The window ---

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
  const command = event.ctrlKey || event.metaKey;
  if (event.key === "Escape") {
    if (sidebar.covers) sidebar.leave();
    else answers.stop(current.id);
  } else if (command && event.key.toLowerCase() === "k") {
    event.preventDefault();
    sidebar.toggle(true);
    sidebar.search.select();
  } else if (command && event.shiftKey && event.key.toLowerCase() === "o") {
    event.preventDefault();
    go(null);
  }
});

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.querySelector("[data-close]")?.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside it
  });
}

byId("get-model").addEventListener("click", () => models.open());
byId("to-end").addEventListener("click", () => messages.toEnd());
messages.onScroll = (atEnd) => {
  byId("to-end").hidden = atEnd;
};
addEventListener("hashchange", route);
// The database may not finish its work while a page is closed.
addEventListener("pagehide", () => {
  const unsaved = answers.texts();
  if (unsaved.length) storage.setSetting(UNSAVED, JSON.stringify(unsaved));
});
document.addEventListener("visibilitychange", async () => {
  if (document.hidden) return;
  await sidebar.refresh();
  // Another tab may have gone on with it.
  const stored = current.messages.size && (await storage.loadConversation(current.id));
  if (stored && stored.updated > current.updated && !answers.isRunning(current)) route();
});

if (!(await storage.openStorage())) {
  toast("This browser keeps no data: conversations are lost when the page is closed.");
}
await restoreUnsaved();
await sidebar.refresh();
await models.refresh();
await route();
document.body.dataset.ready = "";
