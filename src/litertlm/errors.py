"""The one error tree of litert-lm-cli.

    LiteRtLmError
    ├── UsageError            a value or a combination of options cannot work
    ├── ModelNotFound         no such model on disk, in the catalog or on the Hub
    ├── AccessDenied          no token, a bad token, a private repository
    │   └── GatedModel        the licence has not been accepted
    ├── NetworkError          no route, timeouts, 5xx; or offline and not cached
    ├── NotEnoughResources    disk or memory
    ├── UnsupportedModel      a model that cannot be converted or run correctly
    │   └── TemplateError     its chat template cannot be used for this conversation
    │       └── TemplateLimit     its chat template exceeds a limit on time, memory or size
    ├── ConversionFailed      the conversion did not end in a bundle
    │   └── DamagedCheckpoint the checkpoint's files contradict themselves
    ├── QualityCheckFailed    a check of `verify` failed
    ├── DamagedBundle         a .litertlm file that is incomplete or damaged
    └── EngineFailed          the runtime did not load or run a good bundle

Every error says what happened (`what`), why (`why`) and what to do next (`hint`); the last two
may be empty. `str(error)` is `what` and `why`. Only cli/errors.py maps types to exit codes and
prints them.
"""

from __future__ import annotations

import errno


class LiteRtLmError(Exception):
    """Base of all errors that a user can cause or fix.

    Args:
        what: one sentence, what happened, naming the model, file, key or tensor.
        why: the reason, one or more lines; empty when `what` says it all.
        hint: what to do next, one or more lines; empty when nothing helps.
    """

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        """`what` and `why`, for tracebacks, logs and tests; the hint is for the terminal only."""
        return f"{self.what}\n{self.why}" if self.why else self.what


class UsageError(LiteRtLmError):
    """A value or a combination of options cannot work."""


class ModelNotFound(LiteRtLmError):
    """No such model on disk, in the catalog or on the Hub."""


class AccessDenied(LiteRtLmError):
    """No token, a bad token, or a private repository."""


class GatedModel(AccessDenied):
    """The repository's licence has not been accepted by this user."""


class NetworkError(LiteRtLmError):
    """The network failed, or is switched off and the file is not on disk."""


class NotEnoughResources(LiteRtLmError):
    """Not enough disk or memory; the numbers are in `why`."""


def resource_error(error: OSError, what: str) -> NotEnoughResources | None:
    """The error for a full disk, a limit of this process or too little memory; None for any other.

    Args:
        what: one sentence, what could not be done.
    """
    hints = {
        errno.ENOSPC: "Free some disk space (litert-lm-cli list, rm), or choose another disk.",
        errno.EDQUOT: "Free some of your disk quota, or choose another disk.",
        errno.EFBIG: "Raise the limit on the size of a file (ulimit -f).",
        errno.ENOMEM: "Close other programs, or raise the limit on memory (ulimit -v).",
        errno.EMFILE: "Raise the limit on open files (ulimit -n).",
        errno.ENFILE: "Close other programs.",
    }
    hint = hints.get(error.errno or 0)
    if hint is None:
        return None
    return NotEnoughResources(what, why=f"{error.strerror}.", hint=hint)


class UnsupportedModel(LiteRtLmError):
    """A model that cannot be converted or run correctly; the config key is named."""


class TemplateError(UnsupportedModel):
    """A chat template that cannot be parsed, or that raises an error for a conversation."""


class TemplateLimit(TemplateError):
    """A chat template that takes too much time or memory, or is nested too deeply."""


class ConversionFailed(LiteRtLmError):
    """The conversion did not end in a bundle."""


class DamagedCheckpoint(ConversionFailed):
    """The checkpoint's files are truncated or contradict themselves; the file is named."""


class QualityCheckFailed(LiteRtLmError):
    """A check of a bundle failed."""


class DamagedBundle(LiteRtLmError):
    """A `.litertlm` file that is incomplete, damaged, or another kind of file."""


class EngineFailed(LiteRtLmError):
    """The runtime did not load or run the bundle; its own reason is in `why`."""
