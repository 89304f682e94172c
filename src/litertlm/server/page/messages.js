/** The messages of the conversation that is shown. */

import { versions } from "./conversation.js";
import { announce, copyButton, el, icon, iconButton } from "./dom.js";
import { GrowingMarkdown, renderMarkdown } from "./markdown.js";

const NEAR_END_PX = 80;

/** Shows a conversation; messages that stay the same are not built again. */
export class MessageList {
  /**
   * @param {HTMLElement} element Holds the messages.
   * @param {HTMLElement} scroller Is scrolled.
   * @param {Object} actions `edit(message, text)`, `regenerate(message)`, `choose(message, label)`,
   *   `fix(message)` for an error, and its label `fixLabel(message)`.
   */
  constructor(element, scroller, actions) {
    this.element = element;
    this.scroller = scroller;
    this.actions = actions;
    this.views = new Map();
    this.atEnd = true;
    scroller.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = scroller;
      this.atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
      this.onScroll?.(this.atEnd);
    });
    // Also when fonts, images or the window change the height.
    new ResizeObserver(() => this.#follow()).observe(element);
  }

  /** Show these messages of a conversation. */
  show(conversation, messages) {
    const wanted = new Set(messages.map((message) => message.id));
    for (const [id, view] of this.views) {
      if (!wanted.has(id)) {
        view.element.remove();
        this.views.delete(id);
      }
    }
    for (const message of messages) {
      let view = this.views.get(message.id);
      if (!view || view.message !== message) {
        view?.element.remove();
        view = new MessageView(message, this.actions);
        this.views.set(message.id, view);
      }
      this.element.append(...(view.element.parentNode ? [] : [view.element]));
      view.refresh(versions(conversation, message));
    }
  }

  /** A message has more text. */
  grew(message) {
    this.views.get(message.id)?.grew();
  }

  /** Edit a message. */
  edit(message) {
    this.views.get(message.id)?.bar.querySelector("[data-edit]")?.click();
  }

  /** Focus the button with which another version was chosen, or its neighbour at the end. */
  focusVersions(message, label) {
    const switches = this.views.get(message.id)?.bar.querySelectorAll(".versions button") ?? [];
    const [first, ...others] = [...switches].filter((button) => !button.disabled);
    (others.find((button) => button.title === label) ?? first)?.focus();
  }

  toEnd() {
    this.atEnd = true;
    this.#follow();
    this.onScroll?.(true);
  }

  #follow() {
    if (this.atEnd) this.scroller.scrollTop = this.scroller.scrollHeight;
  }
}

class MessageView {
  constructor(message, actions) {
    this.message = message;
    this.actions = actions;
    this.frame = null;
    this.text = el("div", { class: "text" });
    this.notes = el("div", { class: "notes" });
    this.bar = el("div", { class: "bar" });
    const fromUser = message.role === "user";
    this.element = el(
      "article",
      { class: `message ${fromUser ? "user" : "assistant"}`, "data-id": message.id },
      el("h2", { class: "visually-hidden" }, fromUser ? "You" : "Answer"),
    );
    if (fromUser) {
      if (message.images.length) this.element.append(imageRow(message.images));
      this.text.textContent = message.text;
      this.text.hidden = !message.text;
    } else {
      this.element.append((this.thinking = new Thinking(message)).element);
      if (message.status === "streaming") {
        this.growing = new GrowingMarkdown(this.text, announce);
        this.growing.update(message.text);
      } else {
        this.text.append(...renderMarkdown(message.text));
      }
    }
    this.element.append(this.text, this.notes, this.bar);
  }

  /** More text: shown with the next frame, less often if that takes long. */
  grew() {
    if (this.frame !== null) return;
    const draw = () => {
      this.frame = null;
      const before = performance.now();
      this.draw();
      this.took = performance.now() - before;
    };
    // Without frames (in a tab that is not visible) a timer does.
    if (document.hidden || this.took > 20)
      this.frame = setTimeout(draw, Math.max(100, 4 * this.took || 0));
    else this.frame = requestAnimationFrame(draw);
  }

  draw() {
    const { message } = this;
    this.thinking.update();
    if (message.text !== this.growing?.text) this.growing?.update(message.text);
    this.showNotes();
  }

  /** Everything but the text: state, versions and buttons. */
  refresh(all) {
    const streaming = this.message.status === "streaming";
    this.element.setAttribute("aria-busy", String(streaming));
    this.element.classList.toggle("streaming", streaming);
    if (this.growing && !streaming) {
      this.draw();
      this.growing.finish();
      this.growing = null;
    }
    this.thinking?.update();
    this.showNotes();
    if (!this.editing) this.bar.replaceChildren(...this.buttons(all, streaming));
  }

  showNotes() {
    const { message } = this;
    const { status, notice, stats } = message;
    const notes = [];
    if (status === "streaming" && notice) {
      notes.push(el("p", { class: "note" }, notice));
    } else if (status === "streaming" && !message.text && !message.thinking) {
      notes.push(el("p", { class: "note waiting" }, message.waiting ?? "Reading the prompt"));
    } else if (status === "stopped") {
      notes.push(el("p", { class: "note" }, "Stopped."));
    } else if (status === "error") {
      notes.push(
        el(
          "div",
          { class: "error", role: "alert" },
          el("p", {}, message.error),
          el(
            "button",
            { type: "button", class: "button", onclick: () => this.actions.fix(message) },
            this.actions.fixLabel(message),
          ),
        ),
      );
    } else if (status === "done") {
      notes.push(...doneNotes(message).map((note) => el("p", { class: "note" }, note)));
    }
    // An error that is shown is not read aloud again.
    const key = notes.map((note) => note.textContent).join();
    if (key !== this.notesKey) this.notes.replaceChildren(...notes);
    this.notesKey = key;
  }

  buttons(all, streaming) {
    const { message, actions } = this;
    const buttons = [];
    if (all.length > 1) buttons.push(versionSwitch(message, all, actions));
    if (streaming) return buttons;
    if (message.text) buttons.push(copyButton("Copy message", () => message.text));
    if (message.role === "user") {
      buttons.push(iconButton("edit", "Edit message", () => this.edit(all), { "data-edit": true }));
    } else {
      buttons.push(iconButton("again", "Regenerate answer", () => actions.regenerate(message)));
      if (message.stats) buttons.push(statsLine(message));
    }
    return buttons;
  }

  /** Edit the message in place; sending it makes a new version. */
  edit(all) {
    if (this.editing) return;
    this.editing = true;
    const area = el("textarea", { "aria-label": "Edited message", rows: "1" });
    area.value = this.message.text;
    const form = el(
      "form",
      { class: "edit" },
      area,
      el(
        "div",
        { class: "row end" },
        el("button", { type: "button", class: "button", onclick: () => close() }, "Cancel"),
        el("button", { type: "submit", class: "button primary" }, "Send"),
      ),
    );
    const close = () => {
      this.editing = false;
      form.replaceWith(this.text);
      this.bar.replaceChildren(...this.buttons(all, false));
      this.bar.querySelector("[data-edit]")?.focus();
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!area.value.trim() && !this.message.images.length) return;
      close();
      this.actions.edit(this.message, area.value);
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        close();
      } else if (isSend(event) && event.target === area) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    this.text.hidden = false;
    this.text.replaceWith(form);
    this.bar.replaceChildren();
    area.focus();
  }
}

/** Whether a key press in a text area sends it; not while an input method composes a word. */
export function isSend(event) {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
}

/** What a model thought before its answer, folded. */
class Thinking {
  constructor(message) {
    this.message = message;
    this.label = el("span");
    this.body = el("div", { class: "text" });
    this.growing = new GrowingMarkdown(this.body);
    this.element = el(
      "details",
      { class: "thinking", hidden: true },
      el("summary", {}, icon("right"), this.label),
      this.body,
    );
    this.element.addEventListener("toggle", () => this.update());
    this.update();
  }

  update() {
    const { thinking, thinkingSeconds, text, status } = this.message;
    if (!thinking) return;
    this.element.hidden = false;
    const now = status === "streaming" && !text;
    this.element.classList.toggle("now", now);
    const label = now
      ? "Thinking…"
      : thinkingSeconds !== undefined
        ? `Thought for ${thinkingSeconds.toFixed(thinkingSeconds < 10 ? 1 : 0)} s`
        : "Thoughts";
    if (this.label.textContent !== label) this.label.textContent = label;
    // A folded text is not drawn.
    if (this.element.open && this.growing.text !== thinking) this.growing.update(thinking);
  }
}

function versionSwitch(message, all, actions) {
  const at = all.indexOf(message);
  const step = (by, name, label) =>
    iconButton(name, label, () => actions.choose(all[at + by], label), { disabled: !all[at + by] });
  return el(
    "span",
    { class: "versions", role: "group", "aria-label": "Versions of this message" },
    step(-1, "left", "Previous version"),
    el("span", {}, `${at + 1} / ${all.length}`),
    step(1, "right", "Next version"),
  );
}

/** What is to be known about a complete message. */
function doneNotes({ role, text, stats }) {
  const notes = [];
  if (role === "assistant" && !text) notes.push("The answer is empty.");
  if (stats?.cut)
    notes.push("The answer ends here because the maximum number of tokens was reached.");
  if (stats?.dropped) {
    notes.push(
      "The conversation is longer than the context of the model. " +
        (stats.dropped === 1
          ? "The oldest message was"
          : `The ${stats.dropped} oldest messages were`) +
        " left out.",
    );
  }
  return notes;
}

function statsLine({ stats, model }) {
  const parts = [];
  if (stats.speed !== null) parts.push(`${stats.speed.toFixed(1)} tokens/s`);
  const details =
    `${model}: prompt ${stats.prompt} tokens, time to first token ` +
    `${stats.firstToken.toFixed(2)} s, answer ${stats.tokens} tokens`;
  parts.push(`${stats.tokens} tokens`);
  return el("span", { class: "stats", title: details }, parts.join(" · "));
}

function imageRow(images) {
  const pictures = images.map((image, number) =>
    el("img", {
      src: `data:${image.type};base64,${image.data}`,
      alt: `Attached image ${number + 1}`,
    }),
  );
  return el("div", { class: "images" }, ...pictures);
}
