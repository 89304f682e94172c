"""Rewinding a native session: a C function that litert-lm-api 0.18.1 exports but does not bind.

After `rewind_to_step(0)`, a prefill of a complete text computes only what follows the longest
common prefix of its tokens with those in the cache: the runtime compares them itself. Other steps
are not used, because the runtime accepts a wrong one without an error and then gives wrong
answers. The last token in the cache counts as common although it is not computed yet (0.18.1), so
the new text must not begin with all of the old one. A later release that renames the function or
changes its status gets the fallback: a new session, and a prefill of everything.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

_FUNCTION = "litert_lm_session_rewind_to_step"

Rewind = Callable[[Any], bool]
"""Empties a native session so that its cache can be reused; False if that is not possible."""


def find_rewind(library: Any) -> Rewind | None:
    """The function of the runtime's library, or None if the library has none.

    Args:
        library: the `ctypes.CDLL` of the runtime, or None.
    """
    try:
        function = getattr(library, _FUNCTION)
    except AttributeError:
        return None
    function.argtypes = [ctypes.c_void_p, ctypes.c_int]
    function.restype = ctypes.c_int

    def rewind(session: Any) -> bool:
        pointer = getattr(session, "_ptr", None)
        return bool(pointer) and function(pointer, 0) == 0

    return rewind


def runtime_library() -> Any:
    """The library that the imported package has loaded, or None where it keeps it elsewhere."""
    try:
        from litert_lm._ffi import _get_lib
    except ImportError:
        return None
    return _get_lib()
