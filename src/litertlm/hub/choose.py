"""The choice of a repository's files, by their names and sizes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from litertlm.constants import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    CONFIG_FILE,
    GENERATION_CONFIG_FILE,
    SAFETENSORS_SUFFIX,
    SENTENCEPIECE_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    WEIGHTS_INDEX_FILE,
)
from litertlm.errors import ModelNotFound, UnsupportedModel
from litertlm.hub.info import RepoFile, RepoInfo

BUNDLE_SUFFIX = ".litertlm"
ADAPTER_FILES = (ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE)

# Small files that conversion reads. Never downloaded: pickles (.bin, .pt, .pth), other formats
# (ONNX, TensorFlow, Flax, consolidated.*), Python files, and everything in subfolders.
_SMALL_FILES = (
    CONFIG_FILE,
    GENERATION_CONFIG_FILE,
    TOKENIZER_FILE,
    SENTENCEPIECE_FILE,
    TOKENIZER_CONFIG_FILE,
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
)
# Licences and notices go with the checkpoint, because its terms ask for them when it is passed on.
_LICENCE_FILE = re.compile(r"(LICEN[CS]E|NOTICE|USE_POLICY)[A-Za-z0-9_-]*(\.(txt|md))?", re.I)
_LICENCE_LIMIT = 1 << 20  # bytes

_WITHOUT_TOKENIZER_JSON = ("vocab.json", "merges.txt")  # tokenizer.json has their content

# Words in bundle names, as the litert-community organisation uses them.
_NPU_WORDS = frozenset(
    {"npu", "qnn", "qualcomm", "mediatek", "samsung", "exynos", "intel", "tensor"}
)
_NPU_CHIP = re.compile(r"(sm|mt|qcs|sa)\d{4}p?")
_PRECISION_WORDS = (
    # (rank, words): int8 before files without such a word, before int4, before float.
    (2, re.compile(r"(int4|q4|i4|wi4|w4|4bit)(b\d+)?|block\d+")),
    (0, re.compile(r"int8|q8|i8|wi8|w8|8bit")),
    (3, re.compile(r"b?f(p|loat)?(16|32)")),
)
_UNMARKED = 1


@dataclass(frozen=True)
class BundleChoice:
    """The chosen file, and those that were not chosen.

    Attributes:
        file: to download.
        others: also usable on this machine, best first.
        elsewhere: files for other hardware: NPUs, browsers.
    """

    file: RepoFile
    others: tuple[RepoFile, ...]
    elsewhere: tuple[RepoFile, ...]


def bundles(info: RepoInfo) -> tuple[RepoFile, ...]:
    """All `.litertlm` files that are not hidden. `.task` files are for another program
    (MediaPipe)."""
    return tuple(
        f for f in info.files if f.path.endswith(BUNDLE_SUFFIX) and not f.name.startswith(".")
    )


def choose_bundle(
    info: RepoInfo, *, wanted: str | None = None, backend: str = "cpu"
) -> BundleChoice | None:
    """The bundle for this machine: not for an NPU or a browser, int8 before float.

    Args:
        wanted: the requested file name (`--file`), in any letter case.
        backend: `cpu` or `gpu`; files for it come first, files for the other one last.

    Returns:
        None if no file is usable on this machine; a requested file is always accepted.

    Raises:
        ModelNotFound: there is no file `wanted`.
    """
    found = bundles(info)
    here = sorted(
        (f for f in found if not _is_for_other_hardware(f, info)),
        key=lambda f: _rank(f, info, backend),
    )
    elsewhere = tuple(f for f in found if f not in here)
    if wanted is not None:
        file = _wanted(info, wanted, found)
    elif here:
        file = here[0]
    else:
        return None
    return BundleChoice(file, tuple(f for f in here if f is not file), elsewhere)


def _wanted(info: RepoInfo, wanted: str, among: Sequence[RepoFile]) -> RepoFile:
    for file in among:
        if wanted.lower() in (file.path.lower(), file.name.lower()):
            return file
    raise ModelNotFound(
        f"{info.repo} has no file {wanted!r} that can be used.",
        hint="It has: " + ", ".join(f.path for f in among) if among else "",
    )


def _words(text: str) -> list[str]:
    return re.split(r"[^a-z0-9]+", text.lower())


def _marks(file: RepoFile, info: RepoInfo) -> set[str]:
    """Words of the file's name that are not part of the model's name."""
    return set(_words(file.path.removesuffix(BUNDLE_SUFFIX))) - set(_words(info.repo))


def _is_for_other_hardware(file: RepoFile, info: RepoInfo) -> bool:
    marks = _marks(file, info)
    return "web" in marks or bool(marks & _NPU_WORDS) or any(map(_NPU_CHIP.fullmatch, marks))


def _rank(file: RepoFile, info: RepoInfo, backend: str) -> tuple[int, int, int, int, str]:
    """Sorts the best bundle first."""
    marks = _marks(file, info)
    precision = next(
        (r for r, words in _PRECISION_WORDS if any(map(words.fullmatch, marks))), _UNMARKED
    )
    contexts = [int(m[3:]) for m in marks if re.fullmatch(r"ekv\d+", m)]
    backends = marks & {"cpu", "gpu"}
    fit = 1 if not backends else 0 if backend in backends else 2
    return (fit, precision, -max(contexts, default=0), len(file.path), file.path)


def checkpoint_files(info: RepoInfo, shards: Iterable[str] | None) -> tuple[RepoFile, ...]:
    """The files that conversion reads, and no others.

    Args:
        shards: the weight files that the index names; None where there is no index.

    Raises:
        UnsupportedModel: no safetensors weights, or an index that names files elsewhere.
    """
    names = list(_SMALL_FILES)
    if info.file(TOKENIZER_FILE) is None:
        names += _WITHOUT_TOKENIZER_JSON
    if info.file(WEIGHTS_FILE) is not None:
        names.append(WEIGHTS_FILE)
    elif shards is not None:
        names += [WEIGHTS_INDEX_FILE, *_checked_shards(info, shards)]
    else:
        raise no_weights(info)
    found = tuple(file for name in names if (file := info.file(name)))
    return (*found, *licence_files(info))


def licence_files(info: RepoInfo) -> tuple[RepoFile, ...]:
    """The texts of the licence in the repository's main folder."""
    return tuple(f for f in info.files if is_licence_file(f.path) and f.size <= _LICENCE_LIMIT)


def is_licence_file(name: str) -> bool:
    """Whether a file of this name, without folders, has the text of a licence or a notice."""
    return _LICENCE_FILE.fullmatch(name) is not None


def _checked_shards(info: RepoInfo, shards: Iterable[str]) -> list[str]:
    names = sorted(set(shards))
    for name in names:
        if "/" in name or "\\" in name or not name.endswith(SAFETENSORS_SUFFIX):
            raise UnsupportedModel(
                f"Refused {info.repo}: its {WEIGHTS_INDEX_FILE} lists a file in another folder.",
                why=f"The file name is {ascii(name)[:200]}.",
            )
        if info.file(name) is None:
            raise UnsupportedModel(
                f"{info.repo} is incomplete: {WEIGHTS_INDEX_FILE} lists {ascii(name)[:200]}, "
                "which it does not have."
            )
    return names


def is_adapter(info: RepoInfo) -> bool:
    """Whether it has an adapter and no complete model."""
    has_model = info.file(WEIGHTS_FILE) or info.file(WEIGHTS_INDEX_FILE)
    return info.file(ADAPTER_FILES[0]) is not None and has_model is None


def adapter_files(info: RepoInfo) -> tuple[RepoFile, ...]:
    """The files of an adapter that conversion reads.

    Raises:
        UnsupportedModel: no safetensors weights.
    """
    if info.file(ADAPTER_FILES[1]) is None:
        raise no_weights(info)
    found = tuple(file for name in (*ADAPTER_FILES, *_SMALL_FILES) if (file := info.file(name)))
    return (*found, *licence_files(info))


def no_weights(info: RepoInfo) -> UnsupportedModel:
    """The error for a checkpoint without safetensors files."""
    pickles = [f.path for f in info.files if f.name.endswith((".bin", ".pt", ".pth", ".ckpt"))]
    if pickles:
        why = (
            f"Its weights are pickles ({pickles[0]}), which can execute code and are never loaded."
        )
    else:
        why = f"It has neither {WEIGHTS_FILE} nor {WEIGHTS_INDEX_FILE}."
    return UnsupportedModel(f"{info.repo} has no weights that can be converted.", why=why)


def choose_gguf(info: RepoInfo, *, wanted: str | None = None) -> BundleChoice | None:
    """The most precise GGUF file; None if there is none.

    Raises:
        ModelNotFound: there is no file `wanted`.
    """
    usable = sorted(
        (
            f
            for f in info.files
            if f.path.lower().endswith(".gguf")
            and not re.search(r"mmproj|imatrix|-\d{5}-of-\d{5}", f.path.lower())
        ),
        key=_gguf_rank,
    )
    if wanted is None and not usable:
        return None
    file = usable[0] if wanted is None else _wanted(info, wanted, usable)
    return BundleChoice(file, tuple(f for f in usable if f is not file), ())


def _gguf_rank(file: RepoFile) -> tuple[float, int, str]:
    """Sorts the most precise file first, by llama.cpp's type names at the end of file names:
    more bits; then bfloat16 before float16, and k-quants by size before the older kinds."""
    match = re.search(r"[._-](b?f|fp|i?q)(\d+)(\w*)\.gguf$", file.name.lower())
    if match is None:
        return (0, 0, file.path)  # no type in its name
    kinds = ("_k_l", "_k_m", "_k", "_k_s", "_1", "_0")
    kind = kinds.index(match[3]) if match[3] in kinds else len(kinds)
    quantized = match[1] in ("q", "iq")
    return (-int(match[2]) + 0.5 * quantized, kind - (match[1] == "bf"), file.path)
