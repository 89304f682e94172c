/**
 * A conversation is a tree of messages: an edited message or another answer is a sibling of the
 * first one. `chosen` of a message (and of the conversation, for the first message) is the child
 * that is shown. No function here touches the page or the storage.
 */

import { newId } from "./dom.js";

export const NO_SAMPLING = Object.freeze({
  temperature: null,
  top_p: null,
  top_k: null,
  seed: null,
  max_tokens: null,
  think: null,
});

const LONGEST_TITLE = 60;

export function createConversation({ model = "", system = "", sampling = NO_SAMPLING } = {}) {
  const now = Date.now();
  return {
    id: newId(),
    title: "",
    created: now,
    updated: now,
    model,
    system,
    sampling: { ...sampling },
    chosen: null,
    messages: new Map(),
  };
}

/** The messages that are shown, oldest first. */
export function path(conversation) {
  const shown = [];
  let next = conversation.chosen;
  while (next !== null) {
    const message = conversation.messages.get(next);
    if (!message) break;
    shown.push(message);
    next = message.chosen;
  }
  return shown;
}

/** The messages from the first one to `message`. */
export function pathTo(conversation, message) {
  const found = [];
  for (let at = message; at; at = conversation.messages.get(at.parent)) found.unshift(at);
  return found;
}

/** All versions of a message, oldest first. */
export function versions(conversation, message) {
  return [...conversation.messages.values()].filter((other) => other.parent === message.parent);
}

/** Add a message after `parent` (null for the first one) and show it. */
export function addMessage(conversation, parent, fields) {
  const message = {
    id: newId(),
    parent: parent?.id ?? null,
    role: "user",
    text: "",
    thinking: "",
    images: [],
    model: "",
    created: Date.now(),
    status: "done",
    error: "",
    stats: null,
    chosen: null,
    ...fields,
  };
  conversation.messages.set(message.id, message);
  choose(conversation, message);
  if (!conversation.title && message.role === "user") conversation.title = titleOf(message.text);
  return message;
}

/** Show this version of a message, and below it what was shown last. */
export function choose(conversation, message) {
  const parent = conversation.messages.get(message.parent) ?? conversation;
  parent.chosen = message.id;
  conversation.updated = Date.now();
}

/** A title from the first message. */
export function titleOf(text) {
  const line = text.trim().split("\n", 1)[0].replace(/\s+/g, " ");
  if (line.length <= LONGEST_TITLE) return line;
  const cut = line.slice(0, LONGEST_TITLE);
  return `${cut.slice(0, Math.max(cut.lastIndexOf(" "), LONGEST_TITLE / 2)).trimEnd()}…`;
}

/** What the search looks through, in lower case. */
export function searchText(conversation) {
  const texts = [...conversation.messages.values()].map((message) => message.text);
  return [conversation.title, ...texts].join("\n").toLowerCase();
}
