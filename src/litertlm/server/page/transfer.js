/** Conversations as files, and back. What is read from a file is checked field by field. */

import { createConversation } from "./conversation.js";
import { el, newId } from "./dom.js";
import { IMAGE_TYPES } from "./images.js";
import { cleanSampling } from "./settings.js";

const FORMAT = "litert-lm-cli conversations";
const MAX_BYTES = 500_000_000;
const MAX_MESSAGES = 100_000;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const STATUSES = new Set(["done", "stopped", "error"]);

/** Offer these conversations as a file. */
export function exportConversations(conversations) {
  const data = {
    format: FORMAT,
    version: 1,
    exported: new Date().toISOString(),
    conversations: conversations.map((conversation) => ({
      ...conversation,
      messages: [...conversation.messages.values()].map(
        ({ errorKind, notice, waiting, ...kept }) => kept,
      ),
    })),
  };
  const blob = new Blob([JSON.stringify(data, null, 1)], { type: "application/json" });
  const day = new Date().toISOString().slice(0, 10);
  const title = conversations.length === 1 ? fileName(conversations[0].title) : "conversations";
  const link = el("a", { href: URL.createObjectURL(blob), download: `${title} ${day}.json` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function fileName(title) {
  return (
    title
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .trim()
      .slice(0, 50) || "conversation"
  );
}

/**
 * The conversations of a file, as new ones.
 * @throws {Error} with a message for the user.
 */
export async function readConversations(file) {
  if (file.size > MAX_BYTES) throw new Error("The file is too large.");
  let data;
  try {
    data = JSON.parse(await file.text());
  } catch {
    throw new Error("The file is not JSON.");
  }
  if (data?.format !== FORMAT || !Array.isArray(data.conversations)) {
    throw new Error("The file is not an export of this page.");
  }
  if (data.version !== 1) throw new Error("The file was written by a newer version of this page.");
  return data.conversations.map(readConversation);
}

function readConversation(given) {
  if (!isObject(given) || !Array.isArray(given.messages) || given.messages.length > MAX_MESSAGES) {
    throw new Error("The file has a conversation without messages.");
  }
  const conversation = createConversation({
    model: text(given.model, 300),
    system: text(given.system),
    sampling: cleanSampling(isObject(given.sampling) ? given.sampling : {}),
  });
  const ids = new Map(); // of the file to new ones
  for (const message of given.messages) {
    if (!isObject(message) || typeof message.id !== "string" || ids.has(message.id)) {
      throw new Error("The file has a message without an id of its own.");
    }
    // A message comes after the one that it answers, so there is no circle.
    const parent = message.parent === null ? null : ids.get(message.parent);
    if (parent === undefined) throw new Error("The file has a message without the one before it.");
    const read = readMessage(message, parent);
    ids.set(message.id, read.id);
    conversation.messages.set(read.id, read);
  }
  const child = (parent, wanted) => {
    const found = conversation.messages.get(ids.get(wanted));
    if (found?.parent === parent) return found.id;
    const all = [...conversation.messages.values()].filter((message) => message.parent === parent);
    return all.at(-1)?.id ?? null;
  };
  for (const message of given.messages) {
    const read = conversation.messages.get(ids.get(message.id));
    read.chosen = child(read.id, message.chosen);
  }
  conversation.chosen = child(null, given.chosen);
  conversation.title = text(given.title, 300);
  conversation.created = time(given.created);
  conversation.updated = time(given.updated);
  return conversation;
}

function readMessage(given, parent) {
  if (given.role !== "user" && given.role !== "assistant") {
    throw new Error("The file has a message that is neither of the user nor an answer.");
  }
  const seconds = given.thinkingSeconds;
  return {
    id: newId(),
    parent,
    role: given.role,
    text: text(given.text),
    thinking: text(given.thinking),
    ...(Number.isFinite(seconds) && seconds >= 0 ? { thinkingSeconds: seconds } : {}),
    images: (Array.isArray(given.images) ? given.images : []).map(readImage),
    model: text(given.model, 300),
    created: time(given.created),
    status: STATUSES.has(given.status) ? given.status : "done",
    error: text(given.error, 2000),
    stats: readStats(given.stats),
    chosen: null,
  };
}

function readImage(given) {
  const valid =
    isObject(given) &&
    IMAGE_TYPES.includes(given.type) &&
    typeof given.data === "string" &&
    BASE64.test(given.data);
  if (!valid) throw new Error("The file has an image that is not a picture in base64.");
  return { type: given.type, data: given.data };
}

function readStats(given) {
  if (!isObject(given)) return null;
  const { prompt, tokens, firstToken, speed } = given;
  const valid =
    [prompt, tokens, firstToken].every(Number.isFinite) &&
    (speed === null || Number.isFinite(speed));
  const dropped = Number.isInteger(given.dropped) && given.dropped > 0 ? given.dropped : 0;
  return valid ? { prompt, tokens, firstToken, speed, cut: given.cut === true, dropped } : null;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value, longest = Infinity) {
  return typeof value === "string" ? value.slice(0, longest) : "";
}

function time(value) {
  return Number.isFinite(value) && value > 0 ? value : Date.now();
}
