"""The demo model with other chat templates, for thinking, function calls and lists.

The model does none of it by itself; the templates make it by what they put before its answer.
"""

from __future__ import annotations

from pathlib import Path

from litertlm.bundle.rewrite import rewrite
from litertlm.bundle_format.header import read_header

THINKING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n{% if enable_thinking is not defined or enable_thinking %}"
    "<think>\n{% endif %}"
)

CALL = '<tool_call>{"name": "clock", "arguments": {"city": "Rome"}}</tool_call>'
LISTING = "- **apple** is red<|im_end|>\n" * 6

# It repeats what it has read often enough; a line's end is its end of turn.
CALLING = (
    "{% if messages[-1].role == 'tool' %}"
    + "Time: {{ messages[-1].content }}<|im_end|>\n" * 5
    + "{% elif tools %}"
    + f"{CALL}<|im_end|>\n" * 5
    + "{% endif %}"
)


def with_template(bundle: Path, target: Path, template: str) -> Path:
    """A copy of the demo's bundle with another template."""
    system = dict(read_header(bundle).system)
    rewrite(bundle, target, {}, {**system, "chat_template": template})
    return target
