"""Bundles for tests that are about their contents: written without the checks of `convert`."""

from __future__ import annotations

from pathlib import Path

from litertlm.bundle.adapted_template import AdaptedTemplate, SourceTemplate
from litertlm.services.checkpoint_source import CheckpointSource
from litertlm.services.convert.conversion import write_plan
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import plan_source
from litertlm.services.worker import TemplateProcess
from litertlm.store.files import hash_in_background
from recorder import Recorder


class _SharedTemplates(TemplateProcess):
    """One process for all conversions of the test run, which adapts each template once."""

    def __init__(self) -> None:
        super().__init__()
        self._adapted: dict[str, AdaptedTemplate] = {}

    def begin(self, source: SourceTemplate) -> None:
        if repr(source) not in self._adapted:
            super().begin(source)

    def adapt(self, source: SourceTemplate) -> AdaptedTemplate:
        if repr(source) not in self._adapted:
            self._adapted[repr(source)] = super().adapt(source)
        return self._adapted[repr(source)]


_TEMPLATES = _SharedTemplates()


def write_bundle(
    source: Path | CheckpointSource,
    target: Path,
    options: ConvertOptions,
    *,
    base: Path | None = None,
) -> Path:
    """Convert a checkpoint folder, a `.gguf` file, or an adapter of `base`; return `target`."""
    if isinstance(source, Path):
        source = CheckpointSource(source, base)
    target.touch()
    with hash_in_background(target) as file:
        write_plan(plan_source(source, options, _TEMPLATES), target, file, Recorder())
    return target
