/** The models of the server: choosing, downloading and deleting them. */

import { ServerError, deleteModel, getJson, postJson, streamLines } from "./api.js";
import { announce, byId, confirmAction, el, formatBytes, iconButton } from "./dom.js";

const TAG = ":latest";

export class Models {
  /**
   * @param {Object} hooks `chosen(name)` when the user picks a model, `failed(error)`.
   */
  constructor(hooks) {
    this.hooks = hooks;
    this.installed = []; // {name, size}
    this.catalog = [];
    this.capabilities = new Map();
    this.pulls = new Map(); // name to {controller, view}
    this.select = byId("model");
    this.dialog = byId("models");
    this.select.addEventListener("change", () => hooks.chosen(this.select.value));
    byId("open-models").addEventListener("click", () => this.open());
    byId("pull").addEventListener("submit", (event) => {
      event.preventDefault();
      const input = byId("pull-name");
      const name = input.value.trim();
      if (!name) return;
      input.value = "";
      this.#showCatalog();
      this.pull(name);
    });
    byId("pull-name").addEventListener("input", () => this.#showCatalog());
  }

  /** Ask the server for its models. Resolves to whether it answered. */
  async refresh() {
    let found;
    try {
      found = (await getJson("api/tags")).models;
    } catch (error) {
      this.hooks.failed(error);
      return false;
    }
    this.installed = found.map((model) => ({ name: withoutTag(model.name), size: model.size }));
    if (this.dialog.open) this.#showDialog();
    return true;
  }

  has(name) {
    return this.installed.some((model) => model.name === name);
  }

  /** Show `name` as the chosen model; it may be missing. */
  show(name) {
    const names = this.installed.map((model) => model.name);
    if (name && !names.includes(name)) names.unshift(name);
    this.select.replaceChildren(
      ...names.map((each) =>
        el("option", { value: each }, this.has(each) ? each : `${each} (not on the server)`),
      ),
    );
    if (!names.length) this.select.append(el("option", { value: "" }, "No models yet"));
    this.select.value = name;
    this.select.disabled = names.length === 0;
  }

  /** What a model can do, such as `vision`; empty where that is unknown. */
  async capabilitiesOf(name) {
    if (!name || !this.has(name)) return [];
    if (!this.capabilities.has(name)) {
      try {
        this.capabilities.set(
          name,
          (await postJson("api/show", { model: name })).capabilities ?? [],
        );
      } catch {
        return [];
      }
    }
    return this.capabilities.get(name);
  }

  /** Whether the model is in memory, so that its answer starts at once. */
  async isLoaded(name) {
    const { models } = await getJson("api/ps");
    return models.some((model) => withoutTag(model.name) === name);
  }

  async open(name = "") {
    byId("pull-name").value = name;
    this.#showDialog();
    this.dialog.showModal();
    try {
      this.catalog = (await getJson("api/catalog")).models;
      this.#showCatalog();
    } catch {
      // The suggestions are missing; names can be typed.
    }
    await this.refresh();
  }

  /** Download a model and choose it. */
  async pull(name) {
    if (this.pulls.has(name)) return;
    const controller = new AbortController();
    const view = new PullView(name, () => controller.abort());
    this.pulls.set(name, view);
    byId("pulls").append(view.element);
    announce(`Downloading ${name}`);
    try {
      for await (const part of streamLines("api/pull", { model: name }, controller.signal)) {
        view.show(part);
      }
      view.element.remove();
      announce(`${name} is ready`);
      const before = new Set(this.installed.map((model) => model.name));
      await this.refresh();
      const added = this.installed.find((model) => !before.has(model.name));
      this.hooks.chosen(added?.name ?? this.#nameOf(name));
    } catch (error) {
      if (controller.signal.aborted) view.element.remove();
      else
        view.fail(error instanceof ServerError ? error : new ServerError("failed", String(error)));
    } finally {
      this.pulls.delete(name);
      if (this.dialog.open) this.#showDialog();
    }
  }

  /** The name on disk of a name that was asked for. */
  #nameOf(name) {
    const entry = this.catalog.find((each) => each.alias === name);
    const lower = (entry?.model ?? name).toLowerCase();
    return this.installed.find((model) => model.name.toLowerCase() === lower)?.name ?? "";
  }

  #showDialog() {
    const rows = this.installed.map(({ name, size }) =>
      el(
        "li",
        {},
        el("span", { class: "grow" }, name),
        el("span", { class: "muted" }, formatBytes(size)),
        iconButton("bin", `Delete ${name}`, () => this.#remove(name)),
      ),
    );
    byId("installed").replaceChildren(...rows);
    byId("none-installed").hidden = rows.length > 0;
    this.#showCatalog();
  }

  #showCatalog() {
    const wanted = byId("pull-name").value.trim().toLowerCase();
    const rows = this.catalog
      .filter(
        ({ alias, model, on_disk }) =>
          !on_disk && !this.has(model) && `${alias} ${model}`.toLowerCase().includes(wanted),
      )
      .map((entry) =>
        el(
          "li",
          {},
          el(
            "span",
            { class: "grow" },
            entry.alias,
            el(
              "small",
              { class: "muted" },
              `${entry.parameters} · ${entry.licence}${entry.gated ? ", to be accepted on the Hub" : ""}`,
            ),
          ),
          el("span", { class: "muted" }, formatBytes(entry.download_bytes)),
          iconButton("download", `Download ${entry.alias}`, () => this.pull(entry.alias), {
            disabled: this.pulls.has(entry.alias),
          }),
        ),
      );
    byId("catalog").replaceChildren(...rows);
    byId("catalog-section").hidden = rows.length === 0;
  }

  async #remove(name) {
    if (!(await confirmAction(`Delete ${name} from the server's disk?`, "Delete"))) return;
    try {
      await deleteModel(name);
      this.capabilities.delete(name);
    } catch (error) {
      byId("pulls").append(el("p", { class: "error", role: "alert" }, error.message));
    }
    this.catalog = (await getJson("api/catalog").catch(() => ({ models: this.catalog }))).models;
    await this.refresh();
    this.hooks.removed(name);
  }
}

class PullView {
  constructor(name, cancel) {
    this.bar = el("progress", { "aria-label": `Download of ${name}`, max: "1" });
    this.state = el("small", { class: "muted" }, "Starting");
    this.cancel = el("button", { type: "button", class: "button", onclick: cancel }, "Cancel");
    this.head = el("div", { class: "row" }, el("span", { class: "grow" }, name), this.cancel);
    this.element = el("div", { class: "pull" }, this.head, this.bar, this.state);
  }

  show({ status, total, completed }) {
    if (total) {
      this.bar.value = completed / total;
      this.state.textContent = `${status}: ${formatBytes(completed)} of ${formatBytes(total)}`;
    } else {
      this.bar.removeAttribute("value");
      this.state.textContent = status;
    }
  }

  fail(error) {
    this.bar.remove();
    this.state.remove();
    this.cancel.textContent = "Close";
    this.cancel.addEventListener("click", () => this.element.remove());
    this.element.append(el("p", { class: "error", role: "alert" }, error.message));
  }
}

export function withoutTag(name) {
  return name.endsWith(TAG) ? name.slice(0, -TAG.length) : name;
}
