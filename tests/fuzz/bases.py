"""The valid inputs that are mutated: files by their path, made from the tiny models."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from fidelity.gemma_like import tokenizer_json as gemma_tokenizer_json
from fuzz.protobuf import field
from litertlm.bundle import container
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import plan_conversion
from tiny import MODELS, write_checkpoint
from tiny.adapter import ADAPTERS, write_adapter
from tiny.gguf_file import GGUF_CASES, write_gguf
from tiny.tokenizer import SPECIAL, VOCAB_SIZE

CHECKPOINTS = tuple(MODELS)
GGUFS = tuple(f"gguf:{name}" for name, _ in GGUF_CASES)
LORAS = tuple(f"lora:{name}" for name in ADAPTERS)
BUNDLES = ("bundle:llama-gqa-tied", "bundle:gemma3_text-pattern-linear")
# Other tokenizers: of Gemma's kind, and tokenizer.model alone.
TOKENIZERS = ("gemma-tokenizer:llama-gqa-tied", "sentencepiece:llama-gqa-tied")

BUNDLE = "model.litertlm"
GGUF = "model.gguf"


@lru_cache(maxsize=64)
def base_files(base: str) -> Mapping[str, bytes]:
    """The files of a base, by path; the program is given the folder, or the one file in it.

    An adapter lies in `adapter/`, and the checkpoint that it is merged into in `base/`.
    """
    kind, _, name = base.rpartition(":")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if kind == "gguf":
            model = replace(MODELS[name], dtype="F32")
            config = {**model.config, **dict(GGUF_CASES)[name]}
            write_gguf(replace(model, config=config), folder / GGUF)
        elif kind == "lora":
            write_checkpoint(MODELS[ADAPTERS[name].base], folder / "base")
            write_adapter(ADAPTERS[name], folder / "adapter", base="base")
        else:
            write_checkpoint(MODELS[name], folder)
        if kind == "gemma-tokenizer":
            tokens = gemma_tokenizer_json()
            (folder / "tokenizer.json").write_text(json.dumps(tokens), encoding="utf-8")
            _grow_vocabulary(folder, len(tokens["model"]["vocab"]))
        elif kind == "sentencepiece":
            (folder / "tokenizer.json").unlink()
            (folder / "tokenizer.model").write_bytes(sentencepiece_file())
        elif kind == "bundle":
            data = bundle_file(*bundle_parts(name))
            return {BUNDLE: data}
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _grow_vocabulary(folder: Path, size: int) -> None:
    """A model with an embedding of `size` rows, one for each token of another tokenizer."""
    model = MODELS["llama-gqa-tied"]
    tokenizer = (folder / "tokenizer.json").read_bytes()
    write_checkpoint(replace(model, config={**model.config, "vocab_size": size}), folder)
    (folder / "tokenizer.json").write_bytes(tokenizer)


def sentencepiece_file() -> bytes:
    """A SentencePiece model (sentencepiece_model.proto) with as many pieces as the tiny models."""
    texts = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    texts += [f"piece{number}" for number in range(VOCAB_SIZE - len(texts))]
    pieces = b""
    for number, text in enumerate(texts):
        kind = 3 if number < len(SPECIAL) else 6 if text.startswith("<0x") else 1
        piece = field(1, text.encode()) + b"\x15" + bytes(4) + field(3, kind)
        pieces += field(1, piece)
    trainer = field(3, 2) + field(4, VOCAB_SIZE) + field(35, 1)
    normalizer = field(1, b"identity") + field(3, 1) + field(4, 1)
    return pieces + field(2, trainer) + field(3, normalizer)


@lru_cache(maxsize=8)
def bundle_parts(name: str) -> tuple[tuple[tuple[str, bytes], ...], Mapping[str, str]]:
    """The sections (kind, bytes) and the system metadata of a model's bundle.

    The TFLite file is cut to its first bytes: no command that is run here reads it.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_checkpoint(MODELS[name], Path(temporary))
        plan = plan_conversion(folder, ConvertOptions())
    kinds = [section.kind for section in plan.bundle.sections]
    payloads = [p if isinstance(p, bytes) else p.flatbuffer[:256] for p in plan.bundle.payloads]
    return tuple(zip(kinds, payloads, strict=True)), plan.bundle.system


def bundle_file(sections: tuple[tuple[str, bytes], ...], system: Mapping[str, str]) -> bytes:
    """A `.litertlm` file of these sections."""
    placed = container.place([container.Section(k, len(data), {}) for k, data in sections], system)
    file = bytearray(placed[-1].end)
    header = container.encode_header(placed, system)
    file[: len(header)] = header
    for place, (_, data) in zip(placed, sections, strict=True):
        file[place.begin : place.begin + len(data)] = data
    return bytes(file)
