"""Reading checkpoints: safetensors folders and GGUF files behind one interface.

`open_checkpoint(path)` reads headers only and validates them; weights are read later, by rows.
"""

from litertlm.checkpoint.loader import open_checkpoint
from litertlm.checkpoint.types import Checkpoint, StoredTensor, Tokenizer

__all__ = ["Checkpoint", "StoredTensor", "Tokenizer", "open_checkpoint"]
