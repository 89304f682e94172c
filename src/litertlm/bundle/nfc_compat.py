"""The NFC of the tokenizers library, expressed for the runtime, whose Unicode tables are newer.

The library's tables are those of Unicode 9 and do not change (its crate
unicode-normalization-alignments tracks offsets, and has no newer version). For them every mark that
was added later is an ordinary character; the runtime (litert-lm-api 0.18.1) reorders it with its
neighbours and composes it. So `U+0EC8 U+0EBA` gives different token ids.

Before NFC, a noncharacter is put on both sides of each such mark, so that nothing is reordered or
composed there; after NFC it is removed. Where a text contains the noncharacter itself, that one is
doubled in between, so that the result is exact for every text. (One pattern that matches between
two characters would do for all marks, but the library panics on empty matches.)
"""

from __future__ import annotations

from typing import Any

_SIGN = "\U0010ffff"  # a noncharacter

# Characters of Unicode 10 to 17 that take part in canonical ordering or composition.
_LATER = (
    (0x07FD, 0x07FD), (0x0897, 0x089F), (0x08CA, 0x08D3), (0x09FE, 0x09FE), (0x0C3C, 0x0C3C),
    (0x0D3B, 0x0D3C), (0x0EBA, 0x0EBA), (0x1715, 0x1715), (0x1ABF, 0x1ADD), (0x1AE0, 0x1AEB),
    (0x1DF6, 0x1DFA), (0xA82C, 0xA82C), (0x105C9, 0x105C9), (0x105D2, 0x105D2), (0x105DA, 0x105DA),
    (0x105E4, 0x105E4), (0x10D24, 0x10D27), (0x10D69, 0x10D6D), (0x10EAB, 0x10EAC),
    (0x10EFA, 0x10EFB), (0x10EFD, 0x10EFF), (0x10F46, 0x10F50), (0x10F82, 0x10F85),
    (0x11070, 0x11070), (0x1133B, 0x1133B), (0x11382, 0x11385), (0x1138B, 0x1138B),
    (0x1138E, 0x1138E), (0x11390, 0x11391), (0x113B8, 0x113B8), (0x113BB, 0x113BB),
    (0x113C2, 0x113C2), (0x113C5, 0x113C5), (0x113C7, 0x113C9), (0x113CE, 0x113D0),
    (0x1145E, 0x1145E), (0x11839, 0x1183A), (0x11930, 0x11930), (0x11935, 0x11935),
    (0x11938, 0x11938), (0x1193D, 0x1193E), (0x11943, 0x11943), (0x119E0, 0x119E0),
    (0x11A34, 0x11A34), (0x11A47, 0x11A47), (0x11A99, 0x11A99), (0x11D42, 0x11D42),
    (0x11D44, 0x11D45), (0x11D97, 0x11D97), (0x11F41, 0x11F42), (0x1611E, 0x16129),
    (0x1612F, 0x1612F), (0x16D63, 0x16D63), (0x16D67, 0x16D6A), (0x16FF0, 0x16FF1),
    (0x1E08F, 0x1E08F), (0x1E130, 0x1E136), (0x1E2AE, 0x1E2AE), (0x1E2EC, 0x1E2EF),
    (0x1E4EC, 0x1E4EF), (0x1E5EE, 0x1E5EF), (0x1E6E3, 0x1E6E3), (0x1E6E6, 0x1E6E6),
    (0x1E6EE, 0x1E6EF), (0x1E6F5, 0x1E6F5),
)  # fmt: skip

LATER_MARKS = tuple(chr(code) for first, last in _LATER for code in range(first, last + 1))
"""The characters that NFC must not reorder or compose."""


def with_unicode9_nfc(normalizer: Any) -> Any:
    """The `normalizer` of a tokenizer.json with each NFC replaced by one that gives the library's
    result in the runtime; the same object if it has no NFC."""
    if not isinstance(normalizer, dict):
        return normalizer
    parts = [normalizer]
    if normalizer.get("type") == "Sequence":
        parts = list(normalizer.get("normalizers") or [])
    if not any(_is_nfc(part) for part in parts):
        return normalizer
    found: list[Any] = []
    for part in parts:
        found += _nfc() if _is_nfc(part) else [part]
    return {"type": "Sequence", "normalizers": found}


def _is_nfc(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "NFC"


def _nfc() -> list[Any]:
    marks = "[" + "".join(LATER_MARKS) + "]"
    return [
        _replace("String", _SIGN, _SIGN * 2),
        *(_replace("String", mark, _SIGN + mark + _SIGN) for mark in LATER_MARKS),
        {"type": "NFC"},
        _replace("Regex", f"{_SIGN}(?={marks})|(?<={marks}){_SIGN}", ""),
        _replace("String", _SIGN * 2, _SIGN),
    ]


def _replace(kind: str, pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}
