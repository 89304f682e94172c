/** Small helpers to build and change elements. Text is only ever set as text. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * A new element.
 * @param {string} tag
 * @param {Object} attributes Functions are event listeners ("onclick"), `true` sets an empty
 *   attribute, `false`, `null` and `undefined` none.
 * @param {...(Node|string|null|undefined)} children
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** An icon of the sprite in index.html, hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** A button with an icon; its label is read aloud and shown as a tooltip. */
export function iconButton(name, label, onclick, attributes = {}) {
  return el(
    "button",
    {
      type: "button",
      class: "icon-button",
      "aria-label": label,
      title: label,
      onclick,
      ...attributes,
    },
    icon(name),
  );
}

export const byId = (id) => document.getElementById(id);

/** An identifier; `crypto.randomUUID` is missing on pages that do not come from localhost. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Have a screen reader say something when it has finished its sentence. */
export function announce(text) {
  const line = el("p", {}, text);
  const region = byId("announcer");
  region.append(line);
  while (region.childElementCount > 30) region.firstElementChild.remove();
}

/** A short message at the bottom of the window. */
export function toast(text) {
  const box = el("div", { class: "toast" }, text);
  byId("toasts").append(box);
  setTimeout(() => box.remove(), 5000);
}

/** Copy text; also where the page does not come from localhost. Resolves to whether it worked. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { class: "visually-hidden", readonly: true });
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    const focused = document.activeElement;
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus?.();
    return done;
  }
}

/** A button that copies what `text()` returns and says so. */
export function copyButton(label, text) {
  const button = iconButton("copy", label, async () => {
    const done = await copyText(text());
    button.replaceChildren(icon(done ? "check" : "copy"));
    announce(done ? "Copied" : "Copying failed");
    setTimeout(() => button.replaceChildren(icon("copy")), 1500);
  });
  return button;
}

/** Ask a yes-or-no question. Resolves to whether `action` was chosen. */
export function confirmAction(question, action) {
  return new Promise((resolve) => {
    const dialog = el("dialog", { class: "question", "aria-label": question });
    const close = (answer) => {
      dialog.close();
      dialog.remove();
      resolve(answer);
    };
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      close(false);
    });
    dialog.append(
      el("p", {}, question),
      el(
        "div",
        { class: "row end" },
        el("button", { type: "button", class: "button", onclick: () => close(false) }, "Cancel"),
        el(
          "button",
          { type: "button", class: "button danger", onclick: () => close(true) },
          action,
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Bytes in words, such as `1.5 GB`. */
export function formatBytes(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 && unit ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
