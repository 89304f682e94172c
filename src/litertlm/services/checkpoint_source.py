"""What a bundle is made from: opened once and identified once, whoever asks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # most commands open none
    from litertlm.checkpoint import Checkpoint
    from litertlm.families import Family


@dataclass(frozen=True)
class CheckpointSource:
    """The files of a checkpoint, and what was read from them.

    Attributes:
        path: the folder or `.gguf` file.
        base: what it is merged into, when it is a LoRA adapter.
        known_family: the family, where the config was read before there were files.
    """

    path: Path
    base: Path | None = None
    known_family: Family | None = None

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The headers, config and tokenizer.

        Raises:
            DamagedCheckpoint and others: as `open_checkpoint`.
        """
        from litertlm.checkpoint import open_checkpoint

        return open_checkpoint(self.path, base=self.base)

    @cached_property
    def family(self) -> Family:
        """The family with its parsed config.

        Raises:
            UnsupportedModel: the model cannot be converted.
        """
        from litertlm.families import identify

        return self.known_family or identify(self.checkpoint.config)
