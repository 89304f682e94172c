/** Answers that are being generated: one for each conversation, also while another is shown. */

import { ServerError, streamLines } from "./api.js";
import { addMessage, pathTo } from "./conversation.js";

const SAVE_EVERY_MS = 2000;
const ATTEMPTS = 10; // while the server is busy
const DEFAULT_WAIT_S = 2;

export class Answers {
  /**
   * @param {Object} hooks
   *   `started(conversation, message)`, `grew(message)`, `ended(conversation, message)`, and
   *   `save(conversation)`.
   */
  constructor(hooks) {
    this.hooks = hooks;
    this.running = new Map(); // conversation id to {conversation, message, controller}
  }

  /** The conversation with this id if it is being answered. */
  conversation(id) {
    return this.running.get(id)?.conversation;
  }

  isRunning(conversation) {
    return this.running.has(conversation.id);
  }

  /** What has been generated so far: `{id, message, text, thinking}` of each conversation. */
  texts() {
    return [...this.running].map(([id, { message }]) => {
      const { text, thinking } = message;
      return { id, message: message.id, text, thinking };
    });
  }

  /** Stop the answer of a conversation, and wait until it has ended. */
  async stop(conversationId) {
    const run = this.running.get(conversationId);
    if (!run) return;
    run.controller.abort();
    await run.ended;
  }

  /** Answer the message `parent`, as its newest version. */
  start(conversation, parent) {
    const controller = new AbortController();
    const message = addMessage(conversation, parent, {
      role: "assistant",
      model: conversation.model,
      status: "streaming",
    });
    const run = { conversation, message, controller };
    this.running.set(conversation.id, run);
    this.hooks.started(conversation, message);
    run.ended = this.#run(conversation, message, controller.signal);
    return message;
  }

  async #run(conversation, message, signal) {
    const body = requestBody(conversation, message);
    this.hooks.save(conversation);
    const saving = setInterval(() => this.hooks.save(conversation), SAVE_EVERY_MS);
    try {
      await this.#attempts(message, body, signal);
      message.status = "done";
    } catch (error) {
      if (signal.aborted) {
        message.status = "stopped";
      } else {
        message.status = "error";
        message.error = error instanceof ServerError ? error.message : `Unexpected: ${error}`;
        message.errorKind = error.kind ?? "failed";
      }
    }
    message.notice = "";
    conversation.updated = Date.now();
    clearInterval(saving);
    this.running.delete(conversation.id);
    this.hooks.ended(conversation, message);
    this.hooks.save(conversation);
  }

  async #attempts(message, body, signal) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#stream(message, body, signal);
        return;
      } catch (error) {
        if (signal.aborted || error.kind !== "busy" || attempt === ATTEMPTS) throw error;
        await this.#countdown(message, error.retryAfter ?? DEFAULT_WAIT_S, signal);
      }
    }
  }

  async #countdown(message, seconds, signal) {
    for (let left = seconds; left > 0; left -= 1) {
      message.notice = `The server is busy. Trying again in ${left} s.`;
      this.hooks.grew(message);
      await sleep(1000, signal);
    }
    message.notice = "";
    this.hooks.grew(message);
  }

  async #stream(message, body, signal) {
    let thinkingSince = null;
    for await (const part of streamLines("api/chat", body, signal)) {
      const { content = "", thinking = "" } = part.message ?? {};
      if (thinking) {
        thinkingSince ??= performance.now();
        message.thinking += thinking;
        message.thinkingSeconds = (performance.now() - thinkingSince) / 1000;
      }
      if (content) message.text += content;
      if (part.done) {
        message.stats = statsOf(part);
        this.hooks.grew(message);
        return;
      }
      if (content || thinking) this.hooks.grew(message);
    }
    throw new ServerError("offline", "The connection to the server was lost.");
  }
}

function statsOf(part) {
  const seconds = part.eval_duration / 1e9;
  return {
    prompt: part.prompt_eval_count,
    tokens: part.eval_count,
    firstToken: part.prompt_eval_duration / 1e9,
    // The first token belongs to the time before it.
    speed: part.eval_count > 1 && seconds > 0 ? (part.eval_count - 1) / seconds : null,
    cut: part.done_reason === "length",
    dropped: part.dropped_messages ?? 0,
  };
}

/** The request for an answer `message`, which is the last of its path. */
function requestBody(conversation, message) {
  const messages = pathTo(conversation, message)
    .slice(0, -1)
    .map((each) => ({
      role: each.role,
      content: each.text,
      ...(each.thinking ? { thinking: each.thinking } : {}),
      ...(each.images.length ? { images: each.images.map((image) => image.data) } : {}),
    }));
  if (conversation.system.trim()) {
    messages.unshift({ role: "system", content: conversation.system });
  }
  const { temperature, top_p, top_k, seed, max_tokens, think } = conversation.sampling;
  const chosen = Object.entries({ temperature, top_p, top_k, seed, num_predict: max_tokens });
  return {
    model: conversation.model,
    messages,
    stream: true,
    options: Object.fromEntries(chosen.filter(([, value]) => value !== null)),
    ...(think === null ? {} : { think }),
  };
}

function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        reject(signal.reason);
      },
      { once: true },
    );
  });
}
