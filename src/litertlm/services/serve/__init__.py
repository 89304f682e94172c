"""Answer requests of several clients: models and pulls in processes, and a queue."""

from typing import TYPE_CHECKING

from litertlm.lazy import lazy_names

if TYPE_CHECKING:
    from litertlm.services.serve.catalog import Catalog as Catalog
    from litertlm.services.serve.events import Event as Event
    from litertlm.services.serve.events import Failed as Failed
    from litertlm.services.serve.events import Finished as Finished
    from litertlm.services.serve.events import Request as Request
    from litertlm.services.serve.events import TextPiece as TextPiece
    from litertlm.services.serve.manager import Manager as Manager
    from litertlm.services.serve.manager import ServeOptions as ServeOptions
    from litertlm.services.serve.pulls import Pulls as Pulls
    from litertlm.services.serve.pulls import PullState as PullState

EXPORTS = {
    "catalog": ("Catalog",),
    "events": (
        "Event",
        "Failed",
        "Finished",
        "Request",
        "TextPiece",
    ),
    "manager": (
        "Manager",
        "ServeOptions",
    ),
    "pulls": ("PullState", "Pulls"),
}
if not TYPE_CHECKING:
    __getattr__ = lazy_names(__name__, EXPORTS)
