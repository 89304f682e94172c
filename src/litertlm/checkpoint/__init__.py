"""Reading checkpoints: safetensors folders and GGUF files behind one interface.

`open_checkpoint(path)` reads headers only and validates them; weights are read later, by rows.
"""

from typing import TYPE_CHECKING

from litertlm.lazy import lazy_names

if TYPE_CHECKING:
    from litertlm.checkpoint.files import ReadAt as ReadAt
    from litertlm.checkpoint.files import WeightFile as WeightFile
    from litertlm.checkpoint.loader import open_checkpoint as open_checkpoint
    from litertlm.checkpoint.types import Checkpoint as Checkpoint
    from litertlm.checkpoint.types import StoredTensor as StoredTensor
    from litertlm.checkpoint.types import Tokenizer as Tokenizer

EXPORTS = {
    "files": ("ReadAt", "WeightFile"),
    "loader": ("open_checkpoint",),
    "types": ("Checkpoint", "StoredTensor", "Tokenizer"),
}
if not TYPE_CHECKING:
    __getattr__ = lazy_names(__name__, EXPORTS)
