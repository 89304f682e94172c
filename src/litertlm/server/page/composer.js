/** The field for the next message, with attached pictures. */

import { byId, el, iconButton, toast } from "./dom.js";
import { readImage } from "./images.js";
import { isSend } from "./messages.js";

export class Composer {
  /** @param hooks `send(text, images)`: whether it was accepted; `stop()`, `editLast()`. */
  constructor(hooks) {
    this.hooks = hooks;
    this.images = [];
    this.vision = false;
    this.area = byId("prompt");
    this.form = byId("composer");
    const file = byId("image-file");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.area.addEventListener("keydown", (event) => {
      if (isSend(event)) {
        event.preventDefault();
        this.#send();
      } else if (event.key === "ArrowUp" && !this.area.value && !this.images.length) {
        event.preventDefault();
        hooks.editLast();
      }
    });
    byId("stop").addEventListener("click", () => hooks.stop());
    byId("attach").addEventListener("click", () => file.click());
    file.addEventListener("change", () => {
      this.#attach([...file.files]);
      file.value = "";
    });
    this.area.addEventListener("paste", (event) => {
      const files = pictures(event.clipboardData);
      if (files.length) {
        event.preventDefault();
        this.#attach(files);
      }
    });
    document.addEventListener("dragover", (event) => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    });
    document.addEventListener("drop", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      // Otherwise the browser leaves the page and opens the file.
      event.preventDefault();
      this.#attach(pictures(event.dataTransfer));
    });
  }

  /** Whether the model takes pictures. */
  setVision(vision) {
    this.vision = vision;
    byId("attach").hidden = !vision;
  }

  setRunning(running) {
    byId("stop").hidden = !running;
    byId("send").hidden = running;
  }

  clear() {
    this.area.value = "";
    this.images = [];
    this.#showImages();
  }

  #send() {
    const text = this.area.value;
    if (!text.trim() && !this.images.length) return;
    if (this.hooks.send(text, this.images)) this.clear();
  }

  async #attach(files) {
    if (!files.length) return;
    if (!this.vision) {
      toast("This model does not take images.");
      return;
    }
    for (const file of files) {
      try {
        this.images.push(await readImage(file));
      } catch (error) {
        toast(error.message);
      }
    }
    this.#showImages();
    this.area.focus();
  }

  #showImages() {
    const views = this.images.map((image, number) =>
      el(
        "li",
        {},
        el("img", { src: `data:${image.type};base64,${image.data}`, alt: `Image ${number + 1}` }),
        iconButton("close", `Remove image ${number + 1}`, () => {
          this.images.splice(number, 1);
          this.#showImages();
          this.area.focus();
        }),
      ),
    );
    const list = byId("attached");
    list.replaceChildren(...views);
    list.hidden = views.length === 0;
  }
}

function pictures(transfer) {
  return [...(transfer?.files ?? [])].filter((file) => file.type.startsWith("image/"));
}
