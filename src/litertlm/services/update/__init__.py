"""Renew models on disk: newer commits of their sources, and improvements of the conversion."""

from typing import TYPE_CHECKING

from litertlm.lazy import lazy_names

if TYPE_CHECKING:
    from litertlm.services.update.renewal import renew as renew
    from litertlm.services.update.state import State as State
    from litertlm.services.update.state import state_of as state_of

EXPORTS = {"renewal": ("renew",), "state": ("State", "state_of")}
if not TYPE_CHECKING:
    __getattr__ = lazy_names(__name__, EXPORTS)
