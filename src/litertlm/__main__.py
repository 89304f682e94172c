"""`python -m litertlm`, and the installed program."""

import sys

from litertlm.cli import signals


def run() -> int:
    """Run the program; returns its exit code."""
    try:
        signals.install()
        from litertlm.cli.main import main  # takes a moment, in which Ctrl-C may come
    except KeyboardInterrupt:
        return 130
    code = main()
    signals.ignore()
    return code


if __name__ == "__main__":
    sys.exit(run())
