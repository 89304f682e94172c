"""Where in our code an exception was raised."""

from __future__ import annotations

import traceback


def place_of(error: BaseException) -> str:
    """`module:function` of ours where it was raised."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        name = frame.f_globals.get("__name__", "")
        if name.startswith("litertlm."):
            return f"{name.removeprefix('litertlm.')}:{frame.f_code.co_name}"
    return ""
