/** The list of conversations. */

import { byId, el, iconButton } from "./dom.js";
import { listConversations } from "./storage.js";

const DAY_MS = 86_400_000;
const WIDE = matchMedia("(min-width: 820px)");

export class Sidebar {
  /** @param hooks `rename(id, title)`, `remove(id, title)`, `exportOne(id)`, `create()`. */
  constructor(hooks) {
    this.hooks = hooks;
    this.current = null;
    this.running = new Set();
    this.entries = [];
    this.list = byId("conversations");
    this.search = byId("search");
    this.search.addEventListener("input", () => this.#draw());
    byId("new-chat").addEventListener("click", () => hooks.create());
    byId("toggle-sidebar").addEventListener("click", () => this.toggle());
    byId("backdrop").addEventListener("click", () => this.toggle(false));
    WIDE.addEventListener("change", () => this.toggle(WIDE.matches));
    this.toggle(WIDE.matches);
  }

  /** Show or hide the sidebar. On narrow screens it lies above the conversation. */
  toggle(open = document.body.classList.contains("no-sidebar")) {
    document.body.classList.toggle("no-sidebar", !open);
    byId("toggle-sidebar").setAttribute("aria-expanded", String(open));
    // What is behind the sidebar cannot be used.
    byId("main").inert = open && !WIDE.matches;
    if (open && !WIDE.matches) byId("new-chat").focus();
  }

  get covers() {
    return byId("main").inert;
  }

  /** Close it where it lies above the conversation. */
  leave() {
    if (this.covers) {
      this.toggle(false);
      byId("toggle-sidebar").focus();
    }
  }

  async refresh() {
    this.entries = await listConversations();
    this.#draw();
  }

  show(id, running) {
    this.current = id;
    this.running = running;
    this.#draw();
  }

  #draw() {
    if (this.renaming) return;
    const focused = document.activeElement?.closest?.("#conversations a")?.getAttribute("href");
    const wanted = this.search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const found = this.entries.filter(({ text }) => wanted.every((word) => text.includes(word)));
    const groups = new Map();
    for (const entry of found) {
      const group = groupOf(entry.updated);
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(entry);
    }
    this.list.replaceChildren();
    for (const [name, entries] of groups) {
      this.list.append(
        el("h2", {}, name),
        el("ul", {}, ...entries.map((entry) => this.#row(entry))),
      );
    }
    byId("no-conversations").hidden = found.length > 0;
    byId("no-conversations").textContent = this.entries.length
      ? "Nothing found."
      : "Conversations are kept in this browser.";
    if (focused) this.list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  }

  #row(entry) {
    const title = entry.title || "Untitled";
    const current = entry.id === this.current;
    const row = el(
      "li",
      { class: current ? "current" : null },
      el(
        "a",
        {
          href: `#${entry.id}`,
          "aria-current": current ? "page" : null,
          title,
          onclick: () => this.leave(),
        },
        title,
      ),
      this.running.has(entry.id)
        ? el("span", { class: "dot", role: "img", "aria-label": "is answering" })
        : null,
      el(
        "span",
        { class: "tools" },
        iconButton("edit", `Rename ${title}`, () => this.#rename(row, entry)),
        iconButton("export", `Export ${title}`, () => this.hooks.exportOne(entry.id)),
        iconButton("bin", `Delete ${title}`, () => this.hooks.remove(entry.id, title)),
      ),
    );
    return row;
  }

  #rename(row, entry) {
    this.renaming = true;
    const input = el("input", { "aria-label": "Title", maxlength: "300" });
    input.value = entry.title;
    let open = true;
    const close = async (save, refocus) => {
      if (!open) return;
      open = this.renaming = false;
      if (save && input.value.trim()) await this.hooks.rename(entry.id, input.value.trim());
      this.#draw();
      if (refocus) this.list.querySelector(`a[href="#${CSS.escape(entry.id)}"]`)?.focus();
    };
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        close(event.key === "Enter", true);
      }
    });
    input.addEventListener("blur", () => close(true, false));
    row.replaceChildren(input);
    input.select();
    input.focus();
  }
}

function groupOf(time) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  if (time >= midnight) return "Today";
  if (time >= midnight - DAY_MS) return "Yesterday";
  if (time >= midnight - 7 * DAY_MS) return "Last 7 days";
  return new Date(time).toLocaleDateString(undefined, { month: "long", year: "numeric" });
}
