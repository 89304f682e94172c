"""Opening a checkpoint of any format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from litertlm.checkpoint.files import WeightFile, read_magic, regular_file_size, unreadable
from litertlm.checkpoint.folder import open_folder
from litertlm.checkpoint.lora_config import is_adapter
from litertlm.checkpoint.types import Checkpoint
from litertlm.constants import CONFIG_FILE
from litertlm.errors import ModelNotFound


def open_checkpoint(
    path: Path, *, base: Path | None = None, arriving: Mapping[str, WeightFile] | None = None
) -> Checkpoint:
    """Open a checkpoint folder, a GGUF file, or a folder with one GGUF file and no config.json.

    Reads and checks headers, tokenizer and config; weights are read later, by rows.

    Args:
        base: the checkpoint that `path`, a folder with a LoRA adapter, is merged into.
        arriving: files with weights that are still downloaded, by name. Nothing else may be.

    Raises:
        ModelNotFound: the path does not exist, or is not a checkpoint.
        UnsupportedModel: a checkpoint that cannot be converted; the key or tensor is named.
        DamagedCheckpoint: files that are cut off or contradict themselves.
    """
    try:
        if arriving:
            return _open_arriving(path, arriving)
        return _open(path) if base is None else _merged(path, base)
    except OSError as error:  # permissions, mostly
        raise unreadable(path, error) from error


def _open(path: Path) -> Checkpoint:
    if path.is_dir():
        if is_adapter(path):
            raise ModelNotFound(
                f"{path} is an adapter without its base model.",
                hint="Name the base model with --base MODEL.",
            )
        gguf_files = sorted(path.glob("*.gguf"))
        if not gguf_files or (path / CONFIG_FILE).exists():
            return open_folder(path)
        if len(gguf_files) == 1:
            return _open_file(gguf_files[0])
        raise ModelNotFound(
            f"{path} has {len(gguf_files)} GGUF files.",
            hint="Name one of them:\n" + "\n".join(f"  {file}" for file in gguf_files),
        )
    regular_file_size(path)
    return _open_file(path)


def _open_arriving(path: Path, arriving: Mapping[str, WeightFile]) -> Checkpoint:
    if path.name in arriving:
        from litertlm.checkpoint.gguf_model import open_gguf

        return open_gguf(path, arriving[path.name])
    return open_folder(path, arriving)


# Modules that most checkpoints do not need are imported late.


def _merged(adapter: Path, base: Path) -> Checkpoint:
    from litertlm.checkpoint.lora import merge_adapter

    return merge_adapter(_open(base), adapter)


def _open_file(path: Path) -> Checkpoint:
    from litertlm.checkpoint.gguf_header import MAGIC
    from litertlm.checkpoint.gguf_model import open_gguf

    if path.suffix.lower() == ".gguf" or read_magic(path) == MAGIC:
        return open_gguf(path)
    raise ModelNotFound(
        f"{path} is not a checkpoint.",
        why="It is neither a folder nor a GGUF file.",
        hint="Pass a folder with config.json, or a .gguf file.",
    )
