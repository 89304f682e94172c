"""`python -m litertlm`, and the installed program."""

import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

from litertlm.cli import signals
from litertlm.cli.startup_line import interrupted, show_first_line

# Graphs and vocabularies are a hundred thousand objects and no garbage. With Python's threshold of
# 700 the collector would look at them again and again.
_COLLECT_AFTER = 100_000


def run() -> NoReturn:
    """Run the program, and leave with its exit code."""
    gc.set_threshold(_COLLECT_AFTER)
    _open_closed_streams()
    try:
        signals.install()
        show_first_line(sys.argv[1:])
        from litertlm.cli.main import main

        code = main(sys.argv[1:])
    except KeyboardInterrupt:  # while the above is imported, or when all is done
        interrupted()
        code = 130
    signals.ignore()
    # Everything is written and every lock given back. Python would take up to a tenth of a second
    # to free, piece by piece, what the operating system frees at once.
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _open_closed_streams() -> None:
    """A stream that was closed (`>&-`) is None, and the next file would get its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


if __name__ == "__main__":
    run()
