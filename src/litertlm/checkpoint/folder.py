"""A Hugging Face checkpoint folder: config.json, safetensors, tokenizer files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from litertlm.checkpoint.files import WeightFile, optional_json_object, read_json_object
from litertlm.checkpoint.quantized import check_quantization, dequantized
from litertlm.checkpoint.safetensors import read_folder
from litertlm.checkpoint.tokenizer_files import read_tokenizer
from litertlm.checkpoint.types import Checkpoint
from litertlm.constants import CONFIG_FILE, GENERATION_CONFIG_FILE
from litertlm.errors import ModelNotFound, UnsupportedModel

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def open_folder(folder: Path, arriving: Mapping[str, WeightFile] | None = None) -> Checkpoint:
    """Open a checkpoint folder; reads the headers of its files and no weights.

    Args:
        arriving: files with weights that are not in the folder yet, by name.

    Raises:
        ModelNotFound: no config.json, no weights or no tokenizer.
        UnsupportedModel: pickled weights, or quantized ones in a form that is not read.
        DamagedCheckpoint: a file is damaged or contradicts another one.
    """
    path = folder / CONFIG_FILE
    if not path.exists():
        raise ModelNotFound(
            f"{folder} is not a checkpoint.",
            why="It has no config.json." if any(folder.iterdir()) else "The folder is empty.",
            hint="Pass the folder with config.json, the safetensors files and the tokenizer.",
        )
    config = read_json_object(path)
    check_quantization(str(path), config)
    if not arriving:
        _check_not_pickled(folder)
    return Checkpoint(
        path=folder,
        format="safetensors",
        config=config,
        generation_config=optional_json_object(folder / GENERATION_CONFIG_FILE),
        tensors=dequantized(str(path), config, read_folder(folder, arriving)),
        tokenizer=read_tokenizer(folder, config),
    )


def _check_not_pickled(folder: Path) -> None:
    if any(folder.glob("*.safetensors")) or any(folder.glob("*.safetensors.index.json")):
        return
    pickles = sorted(p.name for pattern in _PICKLES for p in folder.glob(pattern))
    if pickles:
        raise UnsupportedModel(
            f"{folder} has only pickled weights ({pickles[0]}).",
            why="Loading a pickle executes code that is stored in it.",
            hint="Use a revision of the model with safetensors, or convert it with transformers:\n"
            "  AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)",
        )
