"""The texts of `verify`: prose for the quality check, and varied texts for tokenizers."""

from __future__ import annotations

import random
from collections.abc import Sequence

from litertlm.bundle.probe_conversations import TEXTS

# First and last code points of blocks, one or more for each script and for symbols.
BLOCKS = (
    (0x20, 0x7E), (0xA0, 0x17F), (0x180, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F),
    (0x530, 0x58F), (0x590, 0x5FF), (0x600, 0x6FF), (0x700, 0x74F), (0x780, 0x7BF), (0x900, 0x97F),
    (0x980, 0x9FF), (0xA00, 0xA7F), (0xA80, 0xAFF), (0xB00, 0xB7F), (0xB80, 0xBFF), (0xC00, 0xC7F),
    (0xC80, 0xCFF), (0xD00, 0xD7F), (0xD80, 0xDFF), (0xE00, 0xE7F), (0xE80, 0xEFF), (0xF00, 0xFFF),
    (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x137F), (0x13A0, 0x13FF),
    (0x1400, 0x167F), (0x1780, 0x17FF), (0x1800, 0x18AF), (0x1E00, 0x1EFF), (0x1F00, 0x1FFF),
    (0x2000, 0x206F), (0x2070, 0x209F), (0x20A0, 0x20CF), (0x2100, 0x218F), (0x2190, 0x23FF),
    (0x2500, 0x257F), (0x2600, 0x27BF), (0x3000, 0x303F), (0x3040, 0x30FF), (0x3100, 0x312F),
    (0x4E00, 0x9FFF), (0xA000, 0xA48F), (0xAC00, 0xD7A3), (0xE000, 0xE0FF), (0xF900, 0xFAFF),
    (0xFB50, 0xFDFF), (0xFE00, 0xFE0F), (0xFF00, 0xFFEF), (0x10000, 0x1007F), (0x10330, 0x1034F),
    (0x12000, 0x123FF), (0x1D400, 0x1D7FF), (0x1F1E6, 0x1F1FF), (0x1F300, 0x1F64F),
    (0x1F680, 0x1F9FF), (0x20000, 0x2A6DF), (0xE0100, 0xE01EF), (0x10FFF0, 0x10FFFD),
)  # fmt: skip

CODE = (
    "def f(x: int) -> list[int]:\n    return [i ** 2 for i in range(x) if i % 2 == 0]\n",
    '#include <stdio.h>\nint main(void) {\n\tprintf("%d\\n", 0x1F & ~3);\n\treturn 0;\n}\n',
    "SELECT a.*, COUNT(*) FROM t AS a WHERE a.x >= 1e-5 GROUP BY 1; -- done\n",
    "<html><body><table><tr><td>&nbsp;</td></tr></table></body></html>",
    '{"key": [1, 2.50, -3e10, null, true], "s": "a\\u00e9\\n"}',
    "$ ls -la | grep '^d' && echo \"${HOME}/x\" > /dev/null 2>&1\r\n",
)
WORDS = ("Donaudampfschifffahrtsgesellschaft", "pneumonoultramicroscopicsilicovolcanoconiosis")


PROSE = """\
The lighthouse had stood at the end of the spit for a hundred and forty years, and for most of them
somebody had lived in it. The last keeper was a quiet woman named Ingrid, who counted ships the way
other people count sheep. She kept a notebook for every year, with a line for each vessel: its name,
where it came from, what the weather was like, and whether it had answered her signal. When the
light was made automatic she was allowed to stay, because nobody could think of a reason to send her
away. In the evenings she read about the stars, about the history of glass, and about how birds find
their way home across an ocean without a map. A journalist once asked her whether she was lonely.
She thought about it for a while and said that loneliness needs a clock, and that she had stopped
hers many winters ago. After she died the notebooks were given to the university, where a student
found that they were the longest unbroken record of the coast's weather. Today they help to check
the models that predict storms, and each summer a few people walk out along the spit, look up at the
lamp, and try to imagine how much can be learned by someone who simply pays attention.
"""


def texts(count: int, special_tokens: Sequence[str], seed: int = 20250309) -> list[str]:
    """`count` different texts, deterministic for the same arguments; none has U+2581 or a
    surrogate (which UTF-8 cannot encode: broken ones have become U+FFFD)."""
    rng = random.Random(seed)
    found = [
        *TEXTS,
        *CODE,
        "\ufffd\ufffd",
        "a" * 3000,
        "ab" * 1500,
        " " * 200,
        "\n" * 200,
        "\t" * 70,
    ]
    found += [word * n for word in WORDS for n in (1, 20)]
    found += [f"a{token}b {token} c" for token in special_tokens]
    seen = set(found)
    while len(found) < count:
        text = "".join(_piece(rng, special_tokens) for _ in range(rng.randrange(1, 30)))
        if text not in seen:
            seen.add(text)
            found.append(text)
    return found[:count]


def _piece(rng: random.Random, special_tokens: Sequence[str]) -> str:
    choice = rng.random()
    if choice < 0.25:
        return rng.choice(
            ("Hello", " world", "The ", "don't", " 12345", "3.14", "!?", "naïve", " I'm")
        )
    if choice < 0.35:
        return rng.choice((" ", "\n", "\t", "\r\n", "\u00a0", "\u3000")) * rng.randrange(1, 45)
    if choice < 0.45 and special_tokens:
        return rng.choice(special_tokens)
    if choice < 0.5:
        return rng.choice(CODE)[: rng.randrange(1, 40)]
    first, last = rng.choice(BLOCKS)
    return "".join(chr(rng.randint(first, last)) for _ in range(rng.randrange(1, 8)))
