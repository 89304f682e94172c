"""`python -m litertlm`, and the installed program."""

import sys

from litertlm.cli import signals
from litertlm.cli.start import end_first_line, show_first_line


def run() -> int:
    """Run the program; returns its exit code."""
    try:
        signals.install()
        show_first_line(sys.argv[1:])
        from litertlm.cli.main import main  # takes a moment, in which Ctrl-C may come
    except KeyboardInterrupt:
        end_first_line()
        return 130
    code = main()
    signals.ignore()
    return code


if __name__ == "__main__":
    sys.exit(run())
