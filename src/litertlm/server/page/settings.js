/** The two dialogs with settings: those of a conversation, and those of the page. */

import { apiKey, setApiKey } from "./api.js";
import { NO_SAMPLING } from "./conversation.js";
import { byId } from "./dom.js";
import { getSetting, setSetting } from "./storage.js";

const LAST = "last-settings";
const LIMITS = {
  temperature: { min: 0, max: 10, step: 0.05 },
  top_p: { min: 0, max: 1, step: 0.01 },
  top_k: { min: 0, max: 0x7fffffff, step: 1 },
  seed: { min: 0, max: 0x7fffffff, step: 1 },
  max_tokens: { min: 1, max: 0x7fffffff, step: 1 },
};
const THINK = { "": null, on: true, off: false };

/** The system prompt and the sampling of a conversation. */
export class ChatSettings {
  /** @param changed Called with `{system, sampling}` after each change. */
  constructor(changed) {
    this.changed = changed;
    this.dialog = byId("chat-settings");
    this.form = byId("chat-settings-form");
    for (const [name, limits] of Object.entries(LIMITS)) {
      Object.assign(this.form.elements[name], limits);
    }
    this.form.addEventListener("input", () => this.#read());
    byId("open-settings").addEventListener("click", () => this.dialog.showModal());
    byId("reset-settings").addEventListener("click", () => {
      this.show({ system: "", sampling: NO_SAMPLING });
      this.#read();
    });
  }

  show({ system, sampling }) {
    const { elements } = this.form;
    elements.system.value = system;
    for (const name of Object.keys(LIMITS)) elements[name].value = sampling[name] ?? "";
    const think = Object.entries(THINK).find(([, value]) => value === sampling.think);
    elements.think.value = think[0];
    this.#mark(system, sampling);
  }

  /** A dot at the button: this conversation does not have the model's defaults. */
  #mark(system, sampling) {
    const changed = system.trim() || Object.values(sampling).some((value) => value !== null);
    byId("open-settings").classList.toggle("changed", Boolean(changed));
  }

  #read() {
    const { elements } = this.form;
    const sampling = { ...NO_SAMPLING };
    for (const name of Object.keys(LIMITS)) {
      const field = elements[name];
      // A value that is out of range is marked by the browser and not used.
      if (field.value !== "" && field.validity.valid) sampling[name] = field.valueAsNumber;
    }
    sampling.think = THINK[elements.think.value];
    const system = elements.system.value;
    this.#mark(system, sampling);
    setSetting(LAST, JSON.stringify({ system, sampling }));
    this.changed({ system, sampling });
  }
}

/** Whether `value` may be the sampling option `name`. */
export function isSamplingValue(name, value) {
  if (value === null) return true;
  if (name === "think") return typeof value === "boolean";
  const limits = LIMITS[name];
  if (!limits || !Number.isFinite(value) || value < limits.min || value > limits.max) return false;
  return limits.step < 1 || Number.isInteger(value);
}

/** What a new conversation starts with: as the last one. */
export function lastSettings() {
  try {
    const { system, sampling } = JSON.parse(getSetting(LAST) ?? "{}");
    return {
      system: typeof system === "string" ? system : "",
      sampling: cleanSampling(sampling),
    };
  } catch {
    return { system: "", sampling: { ...NO_SAMPLING } };
  }
}

/** Sampling options without those that are unknown or out of range. */
export function cleanSampling(given) {
  const sampling = { ...NO_SAMPLING };
  for (const name of Object.keys(sampling)) {
    const value = given?.[name];
    if (value !== undefined && isSamplingValue(name, value)) sampling[name] = value;
  }
  return sampling;
}

/** Theme, API key, and what is done with all conversations. */
export class Preferences {
  /** @param hooks `keyChanged()`, `exportAll()`, `importFile(file)`, `deleteAll()`. */
  constructor(hooks) {
    this.dialog = byId("preferences");
    this.key = byId("api-key");
    byId("open-preferences").addEventListener("click", () => this.open());
    byId("theme").value = document.documentElement.dataset.theme ?? "system";
    byId("theme").addEventListener("change", (event) => setTheme(event.target.value));
    byId("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      setApiKey(this.key.value.trim());
      this.dialog.close();
      hooks.keyChanged();
    });
    byId("export-all").addEventListener("click", () => hooks.exportAll());
    byId("import").addEventListener("click", () => byId("import-file").click());
    byId("import-file").addEventListener("change", (event) => {
      const [file] = event.target.files;
      event.target.value = "";
      if (file) hooks.importFile(file);
    });
    byId("delete-all").addEventListener("click", () => hooks.deleteAll());
  }

  open({ key = false } = {}) {
    this.key.value = apiKey();
    if (!this.dialog.open) this.dialog.showModal();
    if (key) this.key.focus();
  }
}

function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  setSetting("theme", theme === "system" ? null : theme);
}
