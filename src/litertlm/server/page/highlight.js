/**
 * Colours of code: comments, strings, numbers, keywords and names. Every pattern runs in time that
 * grows with the length of the text, whatever a model writes.
 */

import { el } from "./dom.js";

const LONGEST = 50_000; // characters; an element for each token of longer code is too much
const words = (text) => new Set(text.split(" "));
const VALUES = words("true false null undefined None True False nil NaN Infinity");
const KEYWORDS = {
  c: words(
    "abstract as async await bool boolean break byte case catch char class const continue crate " +
      "default defer delete do double dyn else enum export extends extern final finally float fn for " +
      "fun func function go goto if impl implements import in include instanceof int interface let " +
      "long loop match mod mut namespace new of override package private protected pub public " +
      "return self short signed sizeof static string struct super switch template this throw throws " +
      "trait try type typedef typename typeof union unsafe unsigned use using val var virtual void " +
      "volatile where while with yield",
  ),
  hash: words(
    "and as assert async await begin break case class continue def del do done elif else elsif end " +
      "ensure esac except export fi finally for from function global if import in is lambda local " +
      "module nonlocal not or pass raise require rescue return then try unless until while with yield",
  ),
  sql: words(
    "add alter and as asc begin between by case check commit constraint create cross default delete " +
      "desc distinct drop else end exists foreign from full function group having if in index inner " +
      "insert into is join key left like limit local not null offset on or order outer primary " +
      "references return right select set table then union unique update values view when where while with",
  ),
};

// Groups: comment, string, number, word.
const NUMBER = String.raw`(\b\d[\w.]*)`;
const WORD = String.raw`([A-Za-z_$][\w$]*)`;
// An end that is missing must not make the search start again at every quote. A single quote may be
// something else (a lifetime in Rust), so it needs its end, which is near.
const STRINGS = String.raw`"(?:[^"\\\n]|\\[^])*"?|'(?:[^'\\\n]|\\[^]){0,200}'`;
const FAMILIES = {
  c: pattern(
    String.raw`(\/\/[^\n]*|\/\*[^]*?(?:\*\/|(?![^]))|^#\w+)`,
    `(${STRINGS}|${"`(?:[^`\\\\]|\\\\[^])*`?"})`,
  ),
  hash: pattern(
    String.raw`(#[^\n]*)`,
    String.raw`("""[^]*?(?:"""|(?![^]))|'''[^]*?(?:'''|(?![^]))|${STRINGS})`,
  ),
  sql: pattern(String.raw`(--[^\n]*|\/\*[^]*?(?:\*\/|(?![^])))`, `(${STRINGS})`),
  markup: /(<!--[^]*?(?:-->|$))|("[^"<>]*"|'[^'<>]*')|()(<\/?[A-Za-z][\w:-]*|\/?>)/g,
  diff: /(^@@[^\n]*)|(^\+[^\n]*)|()(^-[^\n]*)/gm,
};

function pattern(comment, string) {
  return new RegExp([comment, string, NUMBER, WORD].join("|"), "gm");
}

const LANGUAGES = Object.fromEntries(
  Object.entries({
    c:
      "c cpp c++ h hpp cs csharp css dart go golang java javascript js json jsonc jsx kotlin kt less mjs " +
      "php rs rust scala scss swift ts tsx typescript zig objc groovy glsl cuda",
    hash:
      "bash console dockerfile elixir julia make makefile nix perl powershell ps1 py python python3 r rb " +
      "ruby sh shell toml yaml yml zsh ini conf",
    sql: "sql sqlite postgres postgresql mysql lua haskell hs ada vhdl",
    markup: "html xml svg vue svelte markup xhtml",
    diff: "diff patch",
  }).flatMap(([family, names]) => names.split(" ").map((name) => [name, family])),
);

/** Give a `code` element colours, if its language is known. */
export function highlight(code, lang) {
  const name = lang.toLowerCase();
  const family = Object.hasOwn(LANGUAGES, name) ? LANGUAGES[name] : null;
  if (family && code.textContent.length <= LONGEST)
    code.replaceChildren(...nodes(code.textContent, family));
}

function nodes(text, family) {
  const found = [];
  let at = 0;
  for (const match of text.matchAll(FAMILIES[family])) {
    const colour = colourOf(match, family, text[match.index + match[0].length]);
    if (!colour) continue;
    if (match.index > at) found.push(text.slice(at, match.index));
    at = match.index + match[0].length;
    found.push(el("span", { class: `code-${colour}` }, match[0]));
  }
  found.push(text.slice(at));
  return found;
}

function colourOf([, comment, string, number, word], family, next) {
  if (comment) return "comment";
  if (string) return "string";
  if (number) return "number";
  if (family === "diff") return "deleted";
  if (family === "markup") return "keyword";
  if (VALUES.has(word)) return "number";
  if (KEYWORDS[family].has(family === "sql" ? word.toLowerCase() : word)) return "keyword";
  // A call, or a type.
  return next === "(" || /^[A-Z][a-z]/.test(word) ? "name" : null;
}
