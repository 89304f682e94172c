/**
 * Markdown as elements. marked splits the text into tokens; the elements are built here, with text
 * as text nodes, so that nothing of it becomes markup: HTML is shown as it is written, images are
 * links (nothing is loaded because a model names it), and links lead to web and mail addresses only.
 */

import { Lexer } from "./vendor/marked.esm.js";
import { copyButton, el } from "./dom.js";
import { highlight } from "./highlight.js";

const OPTIONS = { gfm: true, breaks: true };
const PROTOCOLS = new Set(["http:", "https:", "mailto:"]);
const DEFINITION = /^ {0,3}\[[^\]\n]+\]:/m;
const ENTITIES = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\u00a0",
  copy: "©",
  reg: "®",
  trade: "™",
  hellip: "…",
  mdash: "—",
  ndash: "–",
  lsquo: "‘",
  rsquo: "’",
  ldquo: "“",
  rdquo: "”",
  laquo: "«",
  raquo: "»",
  bull: "•",
  middot: "·",
  times: "×",
  divide: "÷",
  minus: "−",
  plusmn: "±",
  deg: "°",
  micro: "µ",
  le: "≤",
  ge: "≥",
  ne: "≠",
  rarr: "→",
  larr: "←",
  harr: "↔",
  infin: "∞",
  euro: "€",
  pound: "£",
  yen: "¥",
  sect: "§",
  para: "¶",
  frac12: "½",
  pi: "π",
};

/** Elements for a complete text. */
export function renderMarkdown(text) {
  const nodes = blocks(lex(text));
  colour(nodes);
  return nodes;
}

/** Colours for the code in blocks that are complete. */
function colour(nodes) {
  for (const node of nodes) {
    const all = node.matches(".code") ? [node] : node.querySelectorAll(".code");
    for (const block of all)
      highlight(block.querySelector("code"), block.querySelector("span").textContent);
  }
}

function lex(text) {
  try {
    return new Lexer(OPTIONS).lex(text);
  } catch {
    // Nested so deeply that the parser gives up.
    return [{ type: "html", raw: text, text }];
  }
}

/** Shows a text that grows. Blocks that are complete stay; only the last one is built again. */
export class GrowingMarkdown {
  /** @param onBlock Called with the text of each complete block. */
  constructor(element, onBlock = () => {}) {
    this.element = element;
    this.onBlock = onBlock;
    this.text = "";
    this.done = 0; // characters of the text that are in complete blocks
    this.tail = []; // nodes of the last block
    this.tailCode = null; // its text node, if it is code
  }

  update(text) {
    this.text = text.replace(/\r\n?/g, "\n");
    const rest = this.text.slice(this.done);
    const tokens = lex(rest);
    let last = tokens.length - 1;
    while (last > 0 && tokens[last].type === "space") last -= 1;
    const complete = tokens.slice(0, Math.max(last, 0));
    const length = complete.reduce((sum, token) => sum + token.raw.length, 0);
    const exact = tokens.reduce((sum, token) => sum + token.raw.length, 0) === rest.length;
    if (complete.length && exact) {
      this.replaceTail(blocks(complete), null);
      colour(this.tail);
      for (const token of complete) if (token.type !== "space") this.onBlock(token.raw.trim());
      this.tail = [];
      this.done += length;
      this.showTail(tokens.slice(last));
    } else {
      this.showTail(tokens);
    }
  }

  /** The text is complete. */
  finish() {
    const rest = this.text.slice(this.done).trim();
    if (rest) this.onBlock(rest);
    colour(this.tail);
    // Links may be defined at the end of the text.
    if (DEFINITION.test(this.text)) this.element.replaceChildren(...renderMarkdown(this.text));
  }

  showTail(tokens) {
    const code = tokens.length === 1 && tokens[0].type === "code" ? tokens[0] : null;
    if (code && this.tailCode && this.tailCode.lang === code.lang) {
      const node = this.tailCode.node;
      if (code.text.startsWith(node.data)) node.appendData(code.text.slice(node.data.length));
      else node.data = code.text;
      return;
    }
    const nodes = blocks(tokens);
    const text = code ? nodes[0].querySelector("code").firstChild : null;
    this.replaceTail(nodes, text && { node: text, lang: code.lang });
  }

  replaceTail(nodes, tailCode) {
    for (const node of this.tail) node.remove();
    this.element.append(...nodes);
    this.tail = nodes;
    this.tailCode = tailCode;
  }
}

const BLOCKS = {
  space: () => null,
  def: () => null,
  hr: () => el("hr"),
  paragraph: (token) => el("p", {}, ...inline(token.tokens)),
  text: (token) => el("p", {}, ...(token.tokens ? inline(token.tokens) : [entities(token.text)])),
  html: (token) => el("p", { class: "verbatim" }, token.text),
  // Headings of the page come first.
  heading: (token) => el(`h${Math.min(token.depth + 2, 6)}`, {}, ...inline(token.tokens)),
  blockquote: (token) => el("blockquote", {}, ...blocks(token.tokens)),
  code: codeBlock,
  list,
  table,
};

function blocks(tokens) {
  return tokens.map((token) => (BLOCKS[token.type] ?? BLOCKS.html)(token)).filter(Boolean);
}

function codeBlock(token) {
  const lang = (token.lang ?? "").match(/^[\w+#.-]{1,30}/)?.[0] ?? "";
  const code = el("code", {}, document.createTextNode(token.text));
  return el(
    "div",
    { class: "code" },
    el(
      "div",
      { class: "code-head" },
      el("span", {}, lang),
      copyButton("Copy code", () => code.textContent),
    ),
    el("pre", { tabindex: "0" }, code),
  );
}

function list(token) {
  const start = token.ordered && token.start !== 1 && token.start !== "" ? token.start : null;
  const items = token.items.map((item) => {
    const children = [];
    for (const part of item.tokens) {
      if (part.type === "checkbox") {
        children.push(part.checked ? "☑ " : "☐ ");
      } else if (part.type === "text" && !item.loose) {
        children.push(...(part.tokens ? inline(part.tokens) : [entities(part.text)]));
      } else {
        children.push(...blocks([part]));
      }
    }
    return el("li", { class: item.task ? "task" : null }, ...children);
  });
  return el(token.ordered ? "ol" : "ul", { start }, ...items);
}

function table(token) {
  const row = (cells, tag) =>
    el("tr", {}, ...cells.map((cell) => el(tag, { class: cell.align }, ...inline(cell.tokens))));
  return el(
    "div",
    { class: "table", tabindex: "0" },
    el(
      "table",
      {},
      el("thead", {}, row(token.header, "th")),
      el("tbody", {}, ...token.rows.map((cells) => row(cells, "td"))),
    ),
  );
}

const INLINE = {
  br: () => el("br"),
  strong: (token) => el("strong", {}, ...inline(token.tokens)),
  em: (token) => el("em", {}, ...inline(token.tokens)),
  del: (token) => el("del", {}, ...inline(token.tokens)),
  codespan: (token) => el("code", {}, token.text),
  escape: (token) => token.text,
  html: (token) => token.text,
  text: (token) => (token.tokens ? el("span", {}, ...inline(token.tokens)) : entities(token.text)),
  link: (token) => link(token, inline(token.tokens)),
  image: (token) => link(token, [`🖼 ${token.text || "image"}`]),
};

function inline(tokens) {
  return tokens.map((token) => (INLINE[token.type] ?? INLINE.html)(token));
}

function link(token, children) {
  let address = null;
  try {
    address = new URL(token.autolink ? token.href : entities(token.href));
  } catch {
    // Relative: it would lead to this server.
  }
  if (!address || !PROTOCOLS.has(address.protocol)) return el("span", {}, ...children);
  const attributes = {
    href: address.href,
    title: address.href,
    target: "_blank",
    rel: "noopener noreferrer",
  };
  // An image in a link would be a link in a link.
  const flat = children.map((child) => (child.nodeName === "A" ? child.textContent : child));
  return el("a", attributes, ...flat);
}

/** Text with character references such as `&lt;` replaced. */
function entities(text) {
  return text.replace(
    /&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-zA-Z]\w{1,9}));/g,
    (all, decimal, hex, name) => {
      if (name) return Object.hasOwn(ENTITIES, name) ? ENTITIES[name] : all;
      const code = decimal ? Number(decimal) : Number.parseInt(hex, 16);
      return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000)
        ? String.fromCodePoint(code)
        : "\ufffd";
    },
  );
}
