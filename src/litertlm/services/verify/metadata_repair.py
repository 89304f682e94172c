"""After a failed check: repair a bundle's metadata, or keep the bundle from being run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from litertlm.bundle import metadata
from litertlm.bundle.prompt_config import read_prompt_config, system_items
from litertlm.bundle.rewrite import rewrite
from litertlm.bundle_format.constants import LLM_METADATA
from litertlm.bundle_format.info import read_bundle_info
from litertlm.constants import DEFAULT_CONTEXT
from litertlm.errors import ModelNotFound
from litertlm.progress import Progress
from litertlm.services.checkpoint_source import CheckpointSource
from litertlm.services.verify.report import NO_CHECKPOINT
from litertlm.services.verify.runtime_comparison import check_stored_prompts
from litertlm.services.worker import TemplateProcess
from litertlm.store import (
    REJECTED_SUFFIX,
    InstalledModel,
    provenance_path,
    stage_provenance,
    write_provenance,
)
from litertlm.store.files import atomic_write, file_sha256


def reject(model: InstalledModel) -> Path:
    """Rename a bundle that failed, so that it is not run, and return where it is."""
    rejected = model.bundle.with_name(f"{model.bundle.name}{REJECTED_SUFFIX}")
    os.replace(model.bundle, rejected)
    provenance_path(model.bundle).unlink(missing_ok=True)
    return rejected


def repair(
    model: InstalledModel, source: CheckpointSource | None, *, progress: Progress
) -> list[str]:
    """Rewrite a bundle's metadata to what its checkpoint says: template, stops, BOS, sampler.

    The model and the tokenizer stay as they are. Returns what was wrong, one line each.

    Raises:
        ModelNotFound: there is no checkpoint.
        DamagedBundle: the file is damaged.
    """
    if source is None:
        raise ModelNotFound(
            f"There is no checkpoint to repair {model.name} from.",
            why=NO_CHECKPOINT,
            hint="litert-lm-cli verify MODEL --repair --checkpoint PATH",
        )
    info = read_bundle_info(model.bundle)
    with TemplateProcess() as templates:
        wanted = read_prompt_config(source.checkpoint, templates.adapt)
    problems = check_stored_prompts(info, wanted)
    system = {**{k: str(v) for k, v in info.header.system.items()}, **system_items(wanted)}
    if not problems and system == dict(info.header.system):
        return []
    context = info.context or DEFAULT_CONTEXT
    section = metadata.llm_metadata(wanted, max_num_tokens=context)
    progress.status(f"Rewriting the metadata of {model.bundle.name}...")
    known = model.provenance
    with atomic_write(model.bundle) as temporary:
        rewrite(model.bundle, temporary, {LLM_METADATA: section}, system)
        if known is not None:
            sha256, size = file_sha256(temporary), temporary.stat().st_size
            known = replace(known, sha256=sha256, size_bytes=size)
            stage_provenance(model.bundle, temporary, known)
    if known is not None:
        write_provenance(model.bundle, known)
    return problems or ["The record of the checkpoint's own template was missing."]
