"""`verify`: all checks of one bundle."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from litertlm.bundle.probe_texts import PROSE
from litertlm.bundle.prompt_config import PromptConfig, read_prompt_config
from litertlm.bundle_format.info import BundleInfo, read_bundle_info
from litertlm.progress import Progress
from litertlm.runtime.interpreter import interpreter_is_there
from litertlm.services.checkpoint_source import CheckpointSource
from litertlm.services.verify.behaviour import check_behaviour
from litertlm.services.verify.report import NO_CHECKPOINT, Check, Report, Verdict, not_checked
from litertlm.services.verify.runtime_comparison import (
    RuntimeComparison,
    check_stored_prompts,
    compare_in_runtime,
)
from litertlm.services.verify.structure import check_structure
from litertlm.services.verify.stub_bundle import sections_of
from litertlm.services.worker import TemplateProcess
from litertlm.store import InstalledModel

TEXTS = 2000
PARTS = ("structure", "prompts", "quality", "behaviour")


def verify(
    model: InstalledModel,
    source: CheckpointSource | None,
    *,
    parts: Sequence[str] = (),
    threads: int | None = None,
    progress: Progress,
) -> Report:
    """Check a bundle.

    Args:
        source: what it was made from, or None.
        parts: of PARTS, which ones; none for all that can be done here.

    Raises:
        UsageError: the quality was asked for, and the LiteRT interpreter is not installed.
        EngineFailed: the runtime does not load the bundle.
    """
    threads = threads or os.cpu_count() or 1
    asked_for_quality = "quality" in parts
    parts = parts or PARTS
    known = model.provenance
    structure = check_structure(
        model.bundle,
        sha256=known.sha256 if known else None,
        size_bytes=known.size_bytes if known else None,
    )
    checks = [structure] if "structure" in parts else []
    if structure.verdict is Verdict.FAILED:
        why = "The file is damaged."
        rest = [not_checked(part, why) for part in parts if part != "structure"]
        return Report(model.name, model.bundle, (structure, *rest))
    info = read_bundle_info(model.bundle)
    if "prompts" in parts:
        checks += _prompts(model, info, source, progress)
    if "quality" in parts:
        if asked_for_quality or interpreter_is_there():
            checks.append(_quality(model, info, source, threads, progress))
        else:
            checks.append(not_checked("quality", "The package ai-edge-litert is not installed."))
    if "behaviour" in parts:
        progress.status("Asking the model a few questions...")
        checks.append(check_behaviour(model.bundle, model.cache_dir, threads=threads))
    return Report(model.name, model.bundle, tuple(checks))


def verify_converted(bundle: Path, wanted: PromptConfig, runtime: RuntimeComparison) -> Report:
    """The checks of every conversion before its bundle gets its name.

    Args:
        runtime: was given the bundle's sections, and may still be at it.
    """
    structure = check_structure(bundle, sha256=None, size_bytes=None)
    if structure.verdict is Verdict.FAILED:
        return Report(bundle.stem, bundle, (structure,))
    stored_problems = check_stored_prompts(read_bundle_info(bundle), wanted)
    checks = runtime.checks(wanted, stored_problems)
    return Report(bundle.stem, bundle, (structure, *checks))


def _prompts(
    model: InstalledModel, info: BundleInfo, source: CheckpointSource | None, progress: Progress
) -> list[Check]:
    if source is None:
        return [not_checked("prompts", NO_CHECKPOINT)]
    progress.status("Comparing prompts and token ids...")
    with (
        TemplateProcess() as templates,
        compare_in_runtime(source.checkpoint.tokenizer, TEXTS, templates) as runtime,
    ):
        wanted = read_prompt_config(source.checkpoint, templates.adapt)
        runtime.begin(sections_of(model.bundle), wanted)
        return runtime.checks(wanted, check_stored_prompts(info, wanted))


def _quality(
    model: InstalledModel,
    info: BundleInfo,
    source: CheckpointSource | None,
    threads: int,
    progress: Progress,
) -> Check:
    from litertlm.services.verify.quality import TOKENS, check_quality

    if source is None:
        return not_checked("quality", NO_CHECKPOINT)
    serialized = source.checkpoint.tokenizer.json
    if serialized is None:
        return not_checked("quality", "The checkpoint has no tokenizer.json.")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(serialized.decode("utf-8", "surrogatepass"))
    ids = [*info.start_token_ids, *tokenizer.encode(PROSE, add_special_tokens=False).ids][:TOKENS]
    if info.header.system.get("shapes") == "static" and info.context:
        ids = ids[: info.context]
    return check_quality(
        model.bundle,
        info.header,
        source.checkpoint,
        ids,
        threads=threads,
        progress=progress,
        family=source.family,
    )
