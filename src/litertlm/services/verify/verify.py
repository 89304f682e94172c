"""`verify`: all checks of one bundle, and the repair of its metadata."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from litertlm.bundle import metadata
from litertlm.bundle.probe_texts import PROSE
from litertlm.bundle.prompt_config import PromptConfig, read_prompt_config, system_items
from litertlm.bundle.rewrite import rewrite
from litertlm.bundle_format.constants import LLM_METADATA
from litertlm.bundle_format.info import BundleInfo, read_bundle_info
from litertlm.checkpoint import Checkpoint, open_checkpoint
from litertlm.checkpoint.lora_config import is_adapter
from litertlm.errors import ModelNotFound
from litertlm.progress import Progress
from litertlm.runtime.interpreter import interpreter_is_there
from litertlm.services.acquire.catalog import CATALOG
from litertlm.services.verify.behaviour import check_behaviour
from litertlm.services.verify.prompts import Reading, check_stored_prompts, reading
from litertlm.services.verify.report import Check, Verdict, not_checked
from litertlm.services.verify.structure import check_structure
from litertlm.services.verify.stub import sections_of
from litertlm.store import (
    REJECTED_SUFFIX,
    InstalledModel,
    Store,
    parse_name,
    provenance_path,
    stage_provenance,
    write_provenance,
)
from litertlm.store.files import atomic_write, file_sha256

TEXTS = 2000
PARTS = ("structure", "prompts", "quality", "behaviour")
_NO_CHECKPOINT = "The checkpoint is not on disk; give it with --checkpoint."
_DEFAULT_CONTEXT = 1280


@dataclass(frozen=True)
class Original:
    """What a bundle was made from.

    Attributes:
        path: the folder or `.gguf` file.
        base: what it is merged into, when it is a LoRA adapter.
    """

    path: Path
    base: Path | None = None

    def open(self) -> Checkpoint:
        """Raises DamagedCheckpoint and others, as `open_checkpoint`."""
        return open_checkpoint(self.path, base=self.base)


@dataclass(frozen=True)
class Report:
    """The checks of one bundle."""

    model: str
    bundle: Path
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed; warnings and what could not be checked do not count."""
        return all(check.verdict is not Verdict.FAILED for check in self.checks)


def verify(
    model: InstalledModel,
    checkpoint: Original | None,
    *,
    parts: Sequence[str] = (),
    threads: int | None = None,
    progress: Progress,
) -> Report:
    """Check a bundle.

    Args:
        checkpoint: what it was made from, or None.
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
        why = "The file is not whole."
        rest = [not_checked(part, why) for part in parts if part != "structure"]
        return Report(model.name, model.bundle, (structure, *rest))
    info = read_bundle_info(model.bundle)
    opened = checkpoint.open() if checkpoint is not None else None
    if "prompts" in parts:
        checks += _prompts(model, info, opened, progress)
    if "quality" in parts:
        if asked_for_quality or interpreter_is_there():
            checks.append(_quality(model, info, opened, threads, progress))
        else:
            checks.append(not_checked("quality", "The package ai-edge-litert is not installed."))
    if "behaviour" in parts:
        progress.status("Asking the model a few questions...")
        checks.append(check_behaviour(model.bundle, model.cache_dir, threads=threads))
    return Report(model.name, model.bundle, tuple(checks))


def verify_converted(bundle: Path, wanted: PromptConfig, runtime: Reading) -> Report:
    """What every conversion checks before its bundle gets its name.

    Args:
        runtime: has read the prompts and texts with the bundle's sections by now, or does yet.
    """
    structure = check_structure(bundle, sha256=None, size_bytes=None)
    if structure.verdict is Verdict.FAILED:
        return Report(bundle.stem, bundle, (structure,))
    stored_problems = check_stored_prompts(read_bundle_info(bundle), wanted)
    checks = runtime.checks(wanted, stored_problems)
    return Report(bundle.stem, bundle, (structure, *checks))


def checkpoint_of(
    model: InstalledModel, store: Store, *, given: Path | None = None
) -> Original | None:
    """The checkpoint that a bundle was made from, if it is on disk.

    Args:
        given: where the user says that it is.
    """
    known = model.provenance
    path = given
    if path is None:
        if known is None or known.recipe is None:
            return None
        path = _on_disk(known.origin, model.name, store)
    if path is None or not is_adapter(path):
        return None if path is None else Original(path)
    base = _on_disk(known.base, known.base, store) if known and known.base else None
    return None if base is None else Original(path, base)


def _on_disk(origin: str, name: str, store: Store) -> Path | None:
    """The checkpoint of a provenance's `origin`: a path, or that of the model `name` here."""
    if Path(origin).is_absolute():
        return Path(origin) if Path(origin).exists() else None
    package = next((e for e in CATALOG if e.package and origin.startswith(e.package.project)), None)
    folder = store.checkpoint_dir(parse_name(package.model if package else name))
    if (folder / "config.json").is_file() or is_adapter(folder):
        return folder
    return next(iter(sorted(folder.glob("*.gguf"))), None)


def set_aside(model: InstalledModel) -> Path:
    """Rename a bundle that failed, so that it is not run, and return where it is."""
    aside = model.bundle.with_name(f"{model.bundle.name}{REJECTED_SUFFIX}")
    os.replace(model.bundle, aside)
    provenance_path(model.bundle).unlink(missing_ok=True)
    return aside


def repair(model: InstalledModel, checkpoint: Original | None, *, progress: Progress) -> list[str]:
    """Rewrite a bundle's metadata to what its checkpoint says: template, stops, BOS, sampler.

    The model and the tokenizer stay as they are. Returns what was wrong, one line each.

    Raises:
        ModelNotFound: there is no checkpoint.
        DamagedBundle: the bundle is not whole.
    """
    if checkpoint is None:
        raise ModelNotFound(
            f"There is no checkpoint to repair {model.name} from.",
            why=_NO_CHECKPOINT,
            hint="litert-lm-cli verify MODEL --repair --checkpoint PATH",
        )
    info = read_bundle_info(model.bundle)
    wanted = read_prompt_config(checkpoint.open())
    problems = check_stored_prompts(info, wanted)
    system = {**{k: str(v) for k, v in info.header.system.items()}, **system_items(wanted)}
    if not problems and system == dict(info.header.system):
        return []
    context = info.context or _DEFAULT_CONTEXT
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


def _prompts(
    model: InstalledModel, info: BundleInfo, checkpoint: Checkpoint | None, progress: Progress
) -> list[Check]:
    if checkpoint is None:
        return [not_checked("prompts", _NO_CHECKPOINT)]
    progress.status("Comparing prompts and token ids...")
    wanted = read_prompt_config(checkpoint)
    with reading(checkpoint.tokenizer, TEXTS) as runtime:
        runtime.begin(sections_of(model.bundle), wanted)
        return runtime.checks(wanted, check_stored_prompts(info, wanted))


def _quality(
    model: InstalledModel,
    info: BundleInfo,
    checkpoint: Checkpoint | None,
    threads: int,
    progress: Progress,
) -> Check:
    from litertlm.services.verify.quality import TOKENS, check_quality

    if checkpoint is None:
        return not_checked("quality", _NO_CHECKPOINT)
    if checkpoint.tokenizer.json is None:
        return not_checked("quality", "The checkpoint has no tokenizer.json.")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(checkpoint.tokenizer.json.decode("utf-8", "surrogatepass"))
    ids = [*info.start_token_ids, *tokenizer.encode(PROSE, add_special_tokens=False).ids][:TOKENS]
    if info.header.system.get("shapes") == "static" and info.context:
        ids = ids[: info.context]
    return check_quality(
        model.bundle, info.header, checkpoint, ids, threads=threads, progress=progress
    )
