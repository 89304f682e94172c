"""What a bundle is made from: opened once and identified once, whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from litertlm.constants import CONFIG_FILE
from litertlm.errors import LiteRtLmError

if TYPE_CHECKING:  # most commands open none
    from litertlm.checkpoint import Checkpoint, WeightFile
    from litertlm.families import Family


class Arriving(Protocol):
    """Files with weights that are read while they are downloaded."""

    @property
    def arriving(self) -> Mapping[str, WeightFile]:
        """By name."""

    def passed(self, place: tuple[str, int]) -> None:
        """Nothing before a place (name of a file, offset) will be read any more."""

    def cancel(self) -> None:
        """End every wait for their bytes."""


@dataclass(frozen=True)
class CheckpointSource:
    """The files of a checkpoint, and what was read from them.

    Attributes:
        path: the folder or `.gguf` file.
        base: what it is merged into, when it is a LoRA adapter.
        known_family: the family, where the config was read before there were files.
        arriving: the files with weights that are still downloaded.
    """

    path: Path
    base: Path | None = None
    known_family: Family | None = None
    arriving: Arriving | None = None

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The headers, config and tokenizer.

        Raises:
            DamagedCheckpoint and others: as `open_checkpoint`.
        """
        from litertlm.checkpoint import open_checkpoint

        if self.base is None:
            self._check_model_type()
        return open_checkpoint(self.path, base=self.base, arriving=self._arriving)

    @cached_property
    def family(self) -> Family:
        """The family with its parsed config.

        Raises:
            UnsupportedModel: the model cannot be converted.
        """
        from litertlm.families import identify

        return self.known_family or identify(self.checkpoint.config)

    @property
    def _arriving(self) -> Mapping[str, WeightFile] | None:
        return self.arriving.arriving if self.arriving else None

    def _check_model_type(self) -> None:
        """Report an unknown model_type before weights that are missing or cannot be read."""
        from litertlm.checkpoint.files import read_json_object
        from litertlm.families import check_model_type

        path = self.path / CONFIG_FILE
        with suppress(OSError):  # which opening the checkpoint explains
            if path.is_file():
                check_model_type(read_json_object(path), self._tensor_names)

    def _tensor_names(self) -> list[str] | None:
        """Names of the tensors in the folder, if they can be read."""
        from litertlm.checkpoint.safetensors import read_folder

        with suppress(OSError, LiteRtLmError):
            return list(read_folder(self.path, self._arriving))
        return None
