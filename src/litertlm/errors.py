"""The one error tree of litert-lm-cli.

    LiteRtLmError
    ├── UsageError            a value or a combination of options cannot work
    ├── ModelNotFound         no such model on disk, in the catalog or on the Hub
    ├── AccessDenied          no token, a bad token, a private repository
    │   └── GatedModel        the licence has not been accepted
    ├── NetworkError          no route, timeouts, 5xx; or offline and not cached
    ├── NotEnoughResources    disk or memory
    ├── UnsupportedModel      a model we know we cannot convert or run right
    ├── ConversionFailed      the conversion did not end in a bundle
    │   └── DamagedCheckpoint the checkpoint's files contradict themselves
    ├── QualityCheckFailed    `verify` said no
    ├── DamagedBundle         a .litertlm file that is not whole
    └── EngineFailed          the runtime did not load or run a good bundle

Every error says what happened (`what`), why (`why`) and what to do next (`hint`); the last two
may be empty. Only cli/errors.py maps types to exit codes and prints them.
"""

from __future__ import annotations


class LiteRtLmError(Exception):
    """Base of all errors that a user can cause or cure.

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


class UnsupportedModel(LiteRtLmError):
    """A model that cannot be converted or run right; the config key is named."""


class ConversionFailed(LiteRtLmError):
    """The conversion did not end in a bundle."""


class DamagedCheckpoint(ConversionFailed):
    """The checkpoint's files are truncated or contradict themselves; the file is named."""


class QualityCheckFailed(LiteRtLmError):
    """A verification did not pass."""


class DamagedBundle(LiteRtLmError):
    """A `.litertlm` file that is not whole or not one."""


class EngineFailed(LiteRtLmError):
    """The runtime did not load or run the bundle; its own reason is in `why`."""
