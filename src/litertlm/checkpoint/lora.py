"""Merging a LoRA adapter into its base checkpoint, by rows, while the base is read.

LoRA (Hu et al. 2021) adds `scale * B @ A` to a matrix; DoRA (Liu et al. 2024) then scales each row
to a learned length. Both can be applied to any block of rows, so that a merged tensor is a stored
tensor like any other, and no weight stays in memory. The layout of the files is that of
peft 0.21, `utils/save_and_load.py`.

Letters in shapes: r rank, V vocabulary, H hidden size.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint.files import optional_json_object, read_json_object
from litertlm.checkpoint.lora_config import (
    LoraConfig,
    read_lora_config,
)
from litertlm.checkpoint.safetensors import SafetensorsTensor, read_header
from litertlm.checkpoint.tokenizer_files import read_chat_template, read_tokenizer
from litertlm.checkpoint.types import Checkpoint, StoredTensor, Tokenizer
from litertlm.checkpoint.views import equal_values
from litertlm.constants import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    GENERATION_CONFIG_FILE,
    SENTENCEPIECE_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
)
from litertlm.errors import DamagedCheckpoint, ModelNotFound, UnsupportedModel

EMBEDDING = "model.embed_tokens"
HEAD = "lm_head"

_PREFIX = "base_model.model."
_LORA = re.compile(
    r"(?P<module>.+)\.lora_(?P<part>A|B|embedding_A|embedding_B|magnitude_vector)"
    r"(?:\.(?!weight$|bias$)[^.]+)?(?:\.(?P<what>weight|bias))?"
)
# Levels that PEFT inserts into names; the second is followed by the name of the adapter.
_WRAPPING = re.compile(r"\.base_layer(?=\.)|\.modules_to_save(?:\.default)?(?=\.)")
# A module before the adapter copied it; PEFT stores it if the vocabulary was enlarged.
_ORIGINAL = ".original_module."
# Parts of a multimodal model that do not process text.
_NOT_TEXT = re.compile(r"(?:model\.)?(?:vision_tower|multi_modal_projector)\.")
_FLOATS = ("BF16", "F16", "F32")
# Multiplications of one small matmul: for larger ones OpenBLAS starts its own threads, which
# compete with those of the conversion (interface/gemm.c of OpenBLAS).
_PRODUCT = 1 << 18


@dataclass(frozen=True)
class MergedTensor:
    """A tensor of the base that the adapter changes; see `StoredTensor`.

    Attributes:
        base: the tensor of the base; name, type and size are the same.
        merge: takes the base's rows `[start, stop)`, which it may overwrite, and `start`, `stop`.
    """

    base: StoredTensor
    merge: Callable[[NDArray[np.float32], int, int], NDArray[np.float32]]

    @property
    def name(self) -> str:
        return self.base.name

    @property
    def dtype(self) -> str:
        return self.base.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.base.shape

    @property
    def nbytes(self) -> int:
        return self.base.nbytes

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows `[start, stop)`, merged in float32."""
        return self.merge(self.base.rows(start, stop), start, stop)


def merge_adapter(base: Checkpoint, folder: Path) -> Checkpoint:
    """`base` with the adapter in `folder` merged into it. Reads headers only.

    The adapter's tokenizer, chat template and generation_config.json replace those of the base.

    Raises:
        ModelNotFound: the folder has no adapter_config.json or no weights.
        UnsupportedModel: an adapter that cannot be merged; the error names the key.
        DamagedCheckpoint: tensors that do not match the base, or each other; the error names them.
    """
    config = read_lora_config(
        read_json_object(folder / ADAPTER_CONFIG_FILE), str(folder / ADAPTER_CONFIG_FILE)
    )
    adapter = _Adapter(folder, config, base)
    adapter.sort_tensors(_read_weights(folder))
    tensors, tied = adapter.merged()
    merged_config = _changed_config(folder, base, tensors, tied)
    return replace(
        base,
        path=folder,
        config=merged_config,
        generation_config=optional_json_object(folder / GENERATION_CONFIG_FILE)
        or base.generation_config,
        tensors=tensors,
        tokenizer=_tokenizer(folder, base.tokenizer, merged_config),
    )


def _read_weights(folder: Path) -> dict[str, SafetensorsTensor]:
    path = folder / ADAPTER_WEIGHTS_FILE
    if not path.exists():
        if (folder / "adapter_model.bin").exists():
            raise UnsupportedModel(
                f"{folder} has only pickled weights (adapter_model.bin).",
                why="Loading a pickle executes code that is stored in it.",
                hint="Save it again with a newer version of PEFT, which writes safetensors.",
            )
        raise ModelNotFound(f"{folder} has no {ADAPTER_WEIGHTS_FILE}.")
    tensors = read_header(path)
    if not tensors:
        raise DamagedCheckpoint(f"{path} has no tensors.")
    for name, tensor in tensors.items():
        if tensor.dtype not in _FLOATS or not tensor.shape:
            raise UnsupportedModel(
                f"Tensor {name} of the adapter is {tensor.dtype} {list(tensor.shape)}.",
                why=f"{path}: only {', '.join(_FLOATS)} tensors with rows are merged.",
            )
    return tensors


def _plain(name: str) -> str:
    """A name without the level `language_model`, which is before or after `model.`, depending
    on the version of transformers."""
    return ".".join(part for part in name.split(".") if part != "language_model")


@dataclass
class _Adapter:
    """The adapter's tensors, by the tensor of the base that they change.

    Attributes:
        lora: module to its parts (`A`, `B`, `B.bias`, `embedding_A`, `magnitude_vector`, ...).
        replacements: tensors that replace those of the base.
    """

    folder: Path
    config: LoraConfig
    base: Checkpoint
    lora: dict[str, dict[str, SafetensorsTensor]] = field(default_factory=dict)
    replacements: dict[str, SafetensorsTensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = {_plain(name): name for name in self.base.tensors}

    def sort_tensors(self, tensors: Mapping[str, SafetensorsTensor]) -> None:
        """Raises DamagedCheckpoint for tensors that match nothing in the base."""
        unmatched = []
        heads = (
            {HEAD} if f"{EMBEDDING}.weight" in self.names else set()
        )  # a tied head has no tensor
        for key, tensor in tensors.items():
            name = key.removeprefix(_PREFIX)
            if _NOT_TEXT.match(_plain(name)) or _ORIGINAL in name:
                continue
            if found := _LORA.fullmatch(name):
                module = _plain(found["module"])
                part = found["part"] + (".bias" if found["what"] == "bias" else "")
                known = f"{module}.weight" in self.names or module in heads
                self.lora.setdefault(module, {})[part] = tensor
            else:
                name = _plain(_WRAPPING.sub("", name))
                known = name in self.names or name.removesuffix(".weight") in heads
                self.replacements[name] = tensor
            if not known:
                unmatched.append(key)
        if unmatched:
            more = f" and {len(unmatched) - 3} more" if len(unmatched) > 3 else ""
            raise self.mismatch(
                f"The base has no module for {', '.join(unmatched[:3])}{more}.",
            )

    def merged(self) -> tuple[dict[str, StoredTensor], bool | None]:
        """All tensors of the merged checkpoint, and whether head and embedding are tied (None if
        the adapter changes neither)."""
        tensors = dict(self.base.tensors)
        head = self.names.get(f"{HEAD}.weight", f"{HEAD}.weight")
        changed = {f"{EMBEDDING}.weight", f"{HEAD}.weight"} & {
            *self.replacements,
            *(f"{module}.weight" for module in self.lora),
        }
        tied = self._is_tied()
        if changed and tied:
            if self.config.tied:
                self.lora.pop(HEAD, None)
                self.replacements.pop(f"{HEAD}.weight", None)
            else:
                tied = self._untie(tensors, head)
        if changed and tied:
            tensors.pop(head, None)  # a stored copy, which would differ from the new embedding
        for name, tensor in self.replacements.items():
            stored = self.names.get(name, head)
            tensors[stored] = self._replaced(tensors[stored], tensor)
        for module, parts in self.lora.items():
            stored = self.names.get(f"{module}.weight", head)
            tensors[stored] = self._with_lora(tensors[stored], module, parts)
            if (added := parts.get("B.bias")) is not None:
                self._add_bias(tensors, module, added)
        return tensors, tied if changed else None

    def _is_tied(self) -> bool:
        text = self.base.config.get("text_config")
        section = text if isinstance(text, dict) else {}
        flag = self.base.config.get("tie_word_embeddings", section.get("tie_word_embeddings"))
        names = self.names
        head, embedding = names.get(f"{HEAD}.weight"), names.get(f"{EMBEDDING}.weight")
        if flag is True and head is not None and embedding is not None:
            # As transformers: a stored head that differs from the embedding is not tied to it.
            return equal_values(self.base.tensors[embedding], self.base.tensors[head])
        return flag if isinstance(flag, bool) else head is None

    def _untie(self, tensors: dict[str, StoredTensor], head: str) -> bool:
        """Untie the head if the adapter changes only one of head and embedding, as PEFT does.
        Returns whether they are still tied."""
        embedding = self.names[f"{EMBEDDING}.weight"]
        shared: StoredTensor = tensors[embedding]
        if not self.config.is_saved(EMBEDDING) and f"{EMBEDDING}.weight" in self.replacements:
            # Not a trained copy but the resized embedding itself, which the head shares.
            shared = self._replaced(shared, self.replacements.pop(f"{EMBEDDING}.weight"))
            tensors[embedding] = shared
            if not self.config.is_saved(HEAD):
                self.replacements.pop(f"{HEAD}.weight", None)
        if {EMBEDDING, HEAD} & self.lora.keys() or {
            f"{EMBEDDING}.weight",
            f"{HEAD}.weight",
        } & self.replacements.keys():
            tensors[head] = shared
            return False
        return True

    def _replaced(self, old: StoredTensor, new: SafetensorsTensor) -> SafetensorsTensor:
        resizable = _plain(old.name) in (f"{EMBEDDING}.weight", f"{HEAD}.weight")
        if new.shape[resizable:] != old.shape[resizable:]:
            raise self.mismatch(f"{new.name} is {_size(new)}, and {old.name} is {_size(old)}.")
        return new

    def _with_lora(
        self, base: StoredTensor, module: str, parts: Mapping[str, SafetensorsTensor]
    ) -> MergedTensor:
        names = set(parts) - {"B.bias"}
        embeds = names == {"embedding_A", "embedding_B"}
        expected = {"A", "B", "magnitude_vector"} if self.config.dora else {"A", "B"}
        if not embeds and names != expected:
            have = ", ".join(f"lora_{name}" for name in sorted(parts))
            raise self.mismatch(f"Module {module} has {have}.")
        if embeds and self.config.dora:
            raise UnsupportedModel(
                "This adapter cannot be merged faithfully.",
                why=f"{self.folder / ADAPTER_CONFIG_FILE}: use_dora is true, and {module} is an "
                "embedding: the norms of its columns are needed first.",
                hint="Merge it with PEFT and convert the merged model.",
            )
        rank, scale = self.config.rank_of(module), self.config.scale_of(module)
        out, width = base.shape if len(base.shape) == 2 else (0, 0)
        a, b = (parts["embedding_A"], parts["embedding_B"]) if embeds else (parts["A"], parts["B"])
        a_shape, b_shape = (rank, out if embeds else width), (width if embeds else out, rank)
        for tensor, shape in ((a, a_shape), (b, b_shape)):
            if tensor.shape != shape:
                raise self.mismatch(
                    f"{tensor.name} is {_size(tensor)}; for {base.name} {_size(base)} and rank "
                    f"{rank} it must be {' x '.join(map(str, shape))}."
                )
        if embeds:
            return MergedTensor(base, _embedding_merge(a, b, scale))
        length = parts.get("magnitude_vector")
        if length is not None and length.shape != (out,):
            raise self.mismatch(f"{length.name} is {_size(length)}, and {base.name} {_size(base)}.")
        return MergedTensor(base, _linear_merge(a, b, scale, length))

    def _add_bias(
        self, tensors: dict[str, StoredTensor], module: str, added: SafetensorsTensor
    ) -> None:
        name = self.names.get(f"{module}.bias")
        if name is None or tensors[name].shape != added.shape:
            raise UnsupportedModel(
                "This adapter cannot be merged faithfully.",
                why=f"{self.folder / ADAPTER_CONFIG_FILE}: lora_bias is true, and {module} of the "
                "base has no bias of that size.",
            )
        scale = np.float32(self.config.scale_of(module))

        def merge(values: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
            values += scale * added.rows(start, stop)
            return values

        tensors[name] = MergedTensor(tensors[name], merge)

    def mismatch(self, why: str) -> DamagedCheckpoint:
        return DamagedCheckpoint(
            f"The adapter in {self.folder} does not match its base.",
            why=why,
            hint=f"The base is {self.base.path}; use --base MODEL for another one.",
        )


def _linear_merge(
    a: SafetensorsTensor, b: SafetensorsTensor, scale: float, length: SafetensorsTensor | None
) -> Callable[[NDArray[np.float32], int, int], NDArray[np.float32]]:
    """Adds `scale * B @ A` (a `[r, in]`, b `[out, r]`); with `length` `[out]`, DoRA's."""

    def merge(values: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
        _add_product(values, scale, b.rows(start, stop), a.rows(0, a.shape[0]))
        if length is not None:
            norms = np.sqrt(np.einsum("ij,ij->i", values, values))
            values *= (length.rows(start, stop) / norms)[:, None]
        return values

    return merge


def _embedding_merge(
    a: SafetensorsTensor, b: SafetensorsTensor, scale: float
) -> Callable[[NDArray[np.float32], int, int], NDArray[np.float32]]:
    """Adds `scale * (B @ A).T` (a `[r, V]`, b `[H, r]`): rows of the table are columns of A."""
    rank, vocabulary = a.shape
    flat = replace(a, shape=(rank * vocabulary,))

    def merge(values: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
        first = range(0, rank * vocabulary, vocabulary)
        columns = np.stack([flat.rows(row + start, row + stop) for row in first])
        _add_product(values, scale, columns.T, b.rows(0, b.shape[0]).T)
        return values

    return merge


def _add_product(
    values: NDArray[np.float32],
    scale: float,
    left: NDArray[np.float32],
    right: NDArray[np.float32],
) -> None:
    """Adds `scale * left @ right` in float64, so that the order of summation, which depends on
    the BLAS of numpy, almost never changes the float32 result."""
    rank = left.shape[1]
    scaled, wide = left * np.float64(scale), right.astype(np.float64)
    side = max(8, math.isqrt(_PRODUCT // rank))
    for i in range(0, values.shape[0], side):
        for j in range(0, values.shape[1], side):
            values[i : i + side, j : j + side] += scaled[i : i + side] @ wide[:, j : j + side]


def _changed_config(
    folder: Path, base: Checkpoint, tensors: Mapping[str, StoredTensor], tied: bool | None
) -> Mapping[str, Any]:
    """The base's config.json with the vocabulary size and tying of the merged model."""
    if tied is None:
        return base.config
    config = {**base.config, "tie_word_embeddings": tied}
    rows = {_plain(name): tensors[name].shape[0] for name in tensors}
    size = rows[f"{EMBEDDING}.weight"]
    if not tied and rows[f"{HEAD}.weight"] != size:
        raise DamagedCheckpoint(
            f"The adapter in {folder} does not match its base.",
            why=f"The embedding has {size} tokens; the head has {rows[f'{HEAD}.weight']}.",
            hint="Save the adapter with save_embedding_layers=True, so that it contains both.",
        )
    text = config.get("text_config")
    if isinstance(text, dict):
        config["text_config"] = {**text, "vocab_size": size}
    else:
        config["vocab_size"] = size
    return config


def _tokenizer(folder: Path, base: Tokenizer, config: Mapping[str, Any]) -> Tokenizer:
    """The adapter's tokenizer if it has one, else the base's; likewise the chat template."""
    has_tokenizer = (folder / TOKENIZER_CONFIG_FILE).exists() and (
        (folder / TOKENIZER_FILE).exists() or (folder / SENTENCEPIECE_FILE).exists()
    )
    tokenizer = read_tokenizer(folder, config) if has_tokenizer else base
    template = read_chat_template(folder) or base.chat_template
    return replace(tokenizer, chat_template=template)


def _size(tensor: StoredTensor) -> str:
    return " x ".join(map(str, tensor.shape))
