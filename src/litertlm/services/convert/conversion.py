"""Convert a checkpoint to a `.litertlm` bundle: the layers below, in order."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from litertlm import __version__
from litertlm.bundle.prompt_config import (
    PromptConfig,
)
from litertlm.checkpoint.files import DOWNLOAD_AGAIN
from litertlm.disk import BINARY
from litertlm.errors import (
    ConversionFailed,
    DamagedCheckpoint,
    NotEnoughResources,
    QualityCheckFailed,
    resource_error,
)
from litertlm.progress import Progress
from litertlm.services import bundle_file
from litertlm.services.checkpoint_source import CheckpointSource
from litertlm.services.convert.changes import CONVERSION_CHANGES, CONVERSION_KEY
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import ConversionPlan, count_parameters, plan_source
from litertlm.services.verify import RuntimeComparison, Verdict, compare_in_runtime
from litertlm.services.worker import TemplateProcess
from litertlm.store import REJECTED_SUFFIX
from litertlm.store.files import BackgroundHasher, atomic_write, hash_in_background

if TYPE_CHECKING:
    from litertlm.services.verify import Report

_TEXTS = 300  # whose token ids are compared; `verify` takes 2,000


@dataclass(frozen=True)
class Conversion:
    """A finished conversion.

    Attributes:
        path: the bundle.
        nbytes: its size.
        sha256: its hash, hexadecimal.
        seconds: wall time.
        checkpoint_nbytes: bytes of the tensors that were read.
        parameters: number of weights.
        family: the `model_type`.
        prompting: what the bundle says about prompts.
        report: the checks that it passed.
        versions: of the packages that made it.
        source: what it was made from.
    """

    path: Path
    nbytes: int
    sha256: str
    seconds: float
    checkpoint_nbytes: int
    parameters: int
    family: str
    prompting: PromptConfig
    report: Report
    versions: dict[str, str]
    source: CheckpointSource


def convert(
    source: Path,
    target: Path,
    options: ConvertOptions,
    *,
    progress: Progress,
    base: Path | None = None,
    before_rename: Callable[[Conversion, Path], None] = lambda made, temporary: None,
) -> Conversion:
    """Convert the checkpoint at `source` and put the bundle at `target`, complete or not at all.

    A bundle that fails its checks is kept beside `target` under another name, for inspection.

    Args:
        source: a checkpoint folder, a `.gguf` file, or a folder with a LoRA adapter.
        target: the bundle's final name; an existing one is replaced.
        base: the checkpoint that an adapter is merged into.
        before_rename: called with the complete and checked file before it is renamed to `target`.

    Raises:
        UsageError: options that this model does not allow.
        UnsupportedModel, DamagedCheckpoint: before any weight is read.
        NotEnoughResources: the disk cannot hold the bundle.
        ConversionFailed: a weight cannot be encoded, or the output cannot be written.
        QualityCheckFailed: the bundle differs from what was planned (a bug of this program).
    """
    checkpoint = CheckpointSource(source, base)
    return convert_source(
        checkpoint, target, options, progress=progress, before_rename=before_rename
    )


def convert_source(
    source: CheckpointSource,
    target: Path,
    options: ConvertOptions,
    *,
    progress: Progress,
    before_rename: Callable[[Conversion, Path], None] = lambda made, temporary: None,
) -> Conversion:
    """`convert` of a checkpoint that may have been opened before."""
    started = time.perf_counter()
    # Started before all else: a large tokenizer takes as long to load as the rest to plan, and the
    # template is adapted meanwhile.
    with (
        TemplateProcess() as templates,
        compare_in_runtime(source.checkpoint.tokenizer, _TEXTS, templates) as runtime,
    ):
        plan = plan_source(source, options, templates)
        runtime.begin(plan.bundle.stored, plan.prompting)
        return _converted(plan, target, runtime, progress, started, before_rename)


def _converted(
    plan: ConversionPlan,
    target: Path,
    runtime: RuntimeComparison,
    progress: Progress,
    started: float,
    before_rename: Callable[[Conversion, Path], None],
) -> Conversion:
    template, family = plan.prompting.template, plan.source.family
    kept, int4 = plan.kept_grids
    if kept:
        progress.status(
            f"{kept} of {int4} linear layers are on a 4-bit grid already: their levels are kept."
        )
    elif int4:
        progress.detail("No linear layer is on a 4-bit grid: they are rotated before rounding.")
    if family.unknown_keys and plan.source.checkpoint.format != "gguf":
        progress.detail(f"config.json has keys that are not used: {', '.join(family.unknown_keys)}")
    if template.kind == "fallback" and not template.original_is_usable:
        progress.warn(
            "The checkpoint's chat template is left out of the bundle; the plain one of its family "
            f"is used. {template.reasons[0].rstrip('.')}. To use another template: put it into "
            "chat_template.jinja in the folder of the checkpoint, and convert that folder again."
        )
    elif template.kind == "fallback":
        progress.warn(
            "The checkpoint's chat template cannot be kept; the family's plain one is used. "
            + " ".join(template.reasons)
        )
    try:
        _check_disk(target, plan.nbytes)
        with atomic_write(target) as temporary:
            with hash_in_background(temporary) as file:
                write_plan(plan, temporary, file, progress)
                report = _checked(temporary, target, plan, runtime, progress)
                versions = _versions()
                sha256 = file.sha256()
            made = Conversion(
                path=target,
                nbytes=plan.nbytes,
                sha256=sha256,
                seconds=time.perf_counter() - started,
                checkpoint_nbytes=plan.source.checkpoint.nbytes,
                parameters=count_parameters(plan.source.checkpoint),
                family=plan.source.family.name,
                prompting=plan.prompting,
                report=report,
                versions=versions,
                source=plan.source,
            )
            before_rename(made, temporary)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise NotEnoughResources(
                f"The disk became full while {target.name} was written.",
                why=f"The bundle needs {plan.nbytes / 1e6:,.0f} MB.",
                hint="Free some space (litert-lm-cli list, rm), or choose another --models-dir.",
            ) from error
        what = f"The bundle could not be written to {target.parent}."
        raise resource_error(error, what) or ConversionFailed(
            what,
            why=f"{error.strerror or error}",
            hint="Choose another place with --output-dir.",
        ) from error
    return made


def _check_disk(target: Path, nbytes: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target.parent).free
    if free < nbytes:
        raise NotEnoughResources(
            f"There is not enough disk space for {target.name}.",
            why=f"It needs {nbytes / 1e6:,.0f} MB; {free / 1e6:,.0f} MB are free "
            f"in {target.parent}.",
            hint="Free some space (litert-lm-cli list, rm), or choose another --models-dir.",
        )


def _checked(
    written: Path,
    target: Path,
    plan: ConversionPlan,
    runtime: RuntimeComparison,
    progress: Progress,
) -> Report:
    from litertlm.services.verify import verify_converted  # while the file is hashed

    report = verify_converted(written, plan.prompting, runtime)
    if report.passed:
        if runtime.unavailable_reason:
            progress.warn(
                f"Not all prompts and token ids could be compared. {runtime.unavailable_reason}"
            )
        for check in report.checks:
            # A fallback template has been reported before.
            if check.verdict is Verdict.WARNED and check.name == "tokens":
                progress.warn(f"{check.problems[0]} {check.summary.capitalize()}.")
        return report
    if runtime.damaged_tokenizer:
        raise DamagedCheckpoint(
            "The runtime cannot load the checkpoint's tokenizer.",
            why=runtime.damaged_tokenizer,
            hint=DOWNLOAD_AGAIN,
        )
    rejected = target.with_name(f"{target.name}{REJECTED_SUFFIX}")
    os.replace(written, rejected)
    raise QualityCheckFailed(
        f"{target.name} was written, but failed its checks.",
        why="\n".join(problem for check in report.checks for problem in check.problems),
        hint=f"It was kept as {rejected}. Please report this.\n"
        f"To try it anyway: rename {rejected.name} to {target.name} there, and run that file.",
    )


def _versions() -> dict[str, str]:
    from importlib.metadata import version  # while the file is hashed

    return {
        "litert-lm-cli": __version__,
        "litert-lm-builder": version("litert-lm-builder"),
        CONVERSION_KEY: str(CONVERSION_CHANGES[-1].version),
    }


def write_plan(
    plan: ConversionPlan, path: Path, file: BackgroundHasher, progress: Progress
) -> None:
    """Write the bundle that `plan` describes to `path`, without any check.

    Args:
        file: `hash_in_background(path)`, which hashes the file while it is written.

    Raises:
        ConversionFailed: a weight cannot be encoded.
        OSError: the disk is full, or the checkpoint cannot be read.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | BINARY, 0o644)
    try:
        with progress.task("Converting", plan.bundle.weights_nbytes) as task:

            def advance(nbytes: int) -> None:
                task.advance(nbytes)
                file.mark_written(nbytes)

            bundle_file.write(
                fd,
                plan.bundle,
                threads=os.cpu_count() or 1,
                advance=advance,
                final=file.mark_final,
                arriving=plan.source.arriving,
            )
    finally:
        os.close(fd)
    file.finish()
