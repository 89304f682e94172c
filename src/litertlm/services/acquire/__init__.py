"""From what a user calls a model to a bundle on disk: find, download, convert."""

from typing import TYPE_CHECKING

from litertlm.lazy import lazy_names

if TYPE_CHECKING:
    from litertlm.services.acquire.catalog import CATALOG as CATALOG
    from litertlm.services.acquire.catalog import CatalogEntry as CatalogEntry
    from litertlm.services.acquire.catalog import catalog_fields as catalog_fields
    from litertlm.services.acquire.catalog import lookup as lookup
    from litertlm.services.acquire.download import forget_download as forget_download
    from litertlm.services.acquire.install import acquire as acquire
    from litertlm.services.acquire.installed import checkpoint_of as checkpoint_of
    from litertlm.services.acquire.installed import find_installed as find_installed
    from litertlm.services.acquire.installed import name_for_defaults as name_for_defaults
    from litertlm.services.acquire.installed import remove_installed as remove_installed
    from litertlm.services.acquire.sources import AcquireRequest as AcquireRequest

EXPORTS = {
    "catalog": (
        "CATALOG",
        "CatalogEntry",
        "catalog_fields",
        "lookup",
    ),
    "download": ("forget_download",),
    "install": ("acquire",),
    "installed": (
        "checkpoint_of",
        "find_installed",
        "name_for_defaults",
        "remove_installed",
    ),
    "sources": ("AcquireRequest",),
}
if not TYPE_CHECKING:
    __getattr__ = lazy_names(__name__, EXPORTS)
