"""Copy bundles: to another name, to a file for another device, and from such a file."""

from typing import TYPE_CHECKING

from litertlm.lazy import lazy_names

if TYPE_CHECKING:
    from litertlm.services.transfer.copying import copy_model as copy_model
    from litertlm.services.transfer.exporting import export_model as export_model
    from litertlm.services.transfer.importing import import_bundle as import_bundle

EXPORTS = {
    "copying": ("copy_model",),
    "exporting": ("export_model",),
    "importing": ("import_bundle",),
}
if not TYPE_CHECKING:
    __getattr__ = lazy_names(__name__, EXPORTS)
