"""The one place that handles exceptions: type -> exit code and message.

| code | meaning |
|---|---|
| 0 | success |
| 1 | internal error, or the runtime failed |
| 2 | usage |
| 3 | model not found |
| 4 | not authorised, or licence not accepted |
| 5 | network, or offline and not on disk |
| 6 | not enough disk or memory, or a disk that fails |
| 7 | model not supported |
| 8 | conversion failed |
| 9 | quality check failed |
| 10 | bundle damaged |
| 130 | interrupted |

With `--json` an error is one line of JSON on stderr: `{"error": {"type", "exit_code", "message",
"why", "hint"}}`.
"""

from __future__ import annotations

import errno
import os
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress

import click

from litertlm import errors
from litertlm.cli import signals
from litertlm.cli.output import Output, StdoutClosed
from litertlm.cli.printable import printable

OK = 0
INTERNAL = 1
USAGE = 2
NO_RESOURCES = 6
INTERRUPTED = 130

EXIT_CODES: dict[type[errors.LiteRtLmError], int] = {
    errors.UsageError: USAGE,
    errors.ModelNotFound: 3,
    errors.AccessDenied: 4,
    errors.NetworkError: 5,
    errors.NotEnoughResources: NO_RESOURCES,
    errors.UnsupportedModel: 7,
    errors.ConversionFailed: 8,
    errors.QualityCheckFailed: 9,
    errors.DamagedBundle: 10,
    errors.EngineFailed: INTERNAL,
}

# Errors of the user's machine that any file operation can raise.
_OS_ERRORS = {
    errno.ENOSPC: NO_RESOURCES,
    errno.EDQUOT: NO_RESOURCES,
    errno.ENOMEM: NO_RESOURCES,
    errno.EFBIG: NO_RESOURCES,
    errno.EMFILE: NO_RESOURCES,
    errno.ENFILE: NO_RESOURCES,
    errno.EACCES: USAGE,
    errno.EPERM: USAGE,
    errno.EROFS: USAGE,
    errno.ENOTDIR: USAGE,
    errno.EISDIR: USAGE,
    errno.ENAMETOOLONG: USAGE,
}

# The disk has an error, or has been removed; Windows has no ESTALE.
_DISK_FAILS = frozenset({errno.EIO, errno.ENXIO, errno.ENODEV, getattr(errno, "ESTALE", errno.EIO)})

# What the loader of shared libraries, and Python, say when the system refuses memory or a thread.
_NO_MEMORY = (
    "failed to map segment",
    "annot allocate memory",  # with a capital or not
    "can't start new thread",
)


def exit_code_of(error: errors.LiteRtLmError) -> int:
    """The exit code of the nearest class of `error` that has one."""
    for kind in type(error).__mro__:
        if kind in EXIT_CODES:
            return EXIT_CODES[kind]
    return INTERNAL


def run_guarded(action: Callable[[], None], output: Callable[[], Output]) -> int:
    """Run `action` and return the process's exit code; print what it raises on stderr.

    Args:
        output: makes the `Output`, with the options that are known when an error occurs.
    """
    try:
        action()
    except StdoutClosed:
        return OK
    except click.exceptions.Exit as error:
        return error.exit_code
    except KeyboardInterrupt:
        signals.ignore()
        # The prompt may have been interrupted between creating a coroutine and awaiting it.
        warnings.simplefilter("ignore", RuntimeWarning)
        _report(output(), "Interrupted", "Interrupted.", INTERRUPTED)
        return INTERRUPTED
    except click.UsageError as error:
        return _usage(error, output())
    except errors.LiteRtLmError as error:
        code = exit_code_of(error)
        _print_traceback(output(), error)
        _report(output(), type(error).__name__, error.what, code, error.why, error.hint)
        return code
    except OSError as error:
        return _os_error(error, output())
    except Exception as error:  # noqa: BLE001 - last resort; prints the error
        if (why := _no_memory(error)) is not None:
            return _memory(error, why, output())
        return _internal(error, output())
    return OK


def _usage(error: click.UsageError, output: Output) -> int:
    command = error.ctx.command_path if error.ctx else "litert-lm-cli"
    message = error.format_message()
    hint = f"Run `{command} --help` for usage."
    _report(output, "UsageError", message, USAGE, hint=hint)
    return USAGE


def _os_error(error: OSError, output: Output) -> int:
    if error.errno in _DISK_FAILS:
        return _failing_disk(error, output)
    code = _OS_ERRORS.get(error.errno or 0)
    if code is None:
        return _internal(error, output)
    _print_traceback(output, error)
    reason = os.strerror(error.errno or 0)
    where = f": {error.filename}" if error.filename else ""
    _report(output, type(error).__name__, f"{reason}{where}.", code)
    return code


def _failing_disk(error: OSError, output: Output) -> int:
    """A bundle that cannot be read counts as damaged."""
    from litertlm.store.names import BUNDLE_SUFFIX

    name = str(error.filename or "")
    code = EXIT_CODES[errors.DamagedBundle] if name.endswith(BUNDLE_SUFFIX) else NO_RESOURCES
    _print_traceback(output, error)
    what = f"Cannot read or write {name or 'a file'}."
    hint = "The disk fails or was removed. Check it, then download or convert the model again."
    _report(output, type(error).__name__, what, code, os.strerror(error.errno or 0), hint)
    return code


def _no_memory(error: Exception) -> str | None:
    """Why memory ran out, if that is what the error means; may be empty. None if it is not."""
    if isinstance(error, MemoryError):
        return ""
    if isinstance(error, ImportError | RuntimeError):
        lines = str(error).splitlines()
        return next((x for x in lines if any(mark in x for mark in _NO_MEMORY)), None)
    return None


def _memory(error: Exception, why: str, output: Output) -> int:
    _print_traceback(output, error)
    hint = "Close other programs, raise the limits (ulimit -v, -u), or use a smaller model."
    _report(output, "MemoryError", "Not enough memory.", NO_RESOURCES, why, hint)
    return NO_RESOURCES


def _internal(error: Exception, output: Output) -> int:
    _print_traceback(output, error)
    hint = "" if output.verbose else "Run again with --verbose for the traceback."
    what = f"Internal error: {type(error).__name__}: {error}"
    _report(output, "InternalError", what, INTERNAL, hint=hint)
    return INTERNAL


def _print_traceback(output: Output, error: BaseException) -> None:
    if output.verbose:
        output.detail("".join(traceback.format_exception(error)).rstrip())


def _report(output: Output, kind: str, what: str, code: int, why: str = "", hint: str = "") -> None:
    text = _format_error_text(what, why, hint)
    fields = {"type": kind, "exit_code": code, "message": what, "why": why, "hint": hint}
    with suppress(OSError):  # the terminal may be closed
        output.error(text, fields)


def format_error(error: errors.LiteRtLmError) -> str:
    """The message of an error, for a chat that continues after it."""
    return printable(_format_error_text(error.what, error.why, error.hint))


def _format_error_text(what: str, why: str, hint: str) -> str:
    text = "✗ " + what.replace("\n", "\\n")
    if rest := [part for part in (why, hint) if part]:
        text += "\n\n" + "\n".join(rest)
    return text
