"""Entry point of `python -m litertlm` and of the installed program."""

import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

from litertlm.cli import signals
from litertlm.cli.startup_line import interrupted, show_first_line

# Graphs and vocabularies are hundreds of thousands of objects that live to the end. With Python's
# threshold of 700, the garbage collector would scan them again and again.
_COLLECT_AFTER = 100_000


def run() -> NoReturn:
    """Run the program and exit with its exit code."""
    gc.set_threshold(_COLLECT_AFTER)
    _open_closed_streams()
    try:
        signals.install()
        show_first_line(sys.argv[1:])
        from litertlm.cli.main import main

        code = main(sys.argv[1:])
    except KeyboardInterrupt:  # during the imports, or after `main` has returned
        interrupted()
        code = 130
    signals.ignore()
    # All files are written and all locks released. Python would take up to 0.1 s to free objects
    # one by one that the operating system frees at once.
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _open_closed_streams() -> None:
    """Open streams that were closed (`>&-`): the next file would get their descriptor."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


if __name__ == "__main__":
    run()
