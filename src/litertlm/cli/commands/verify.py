"""`litert-lm-cli verify`."""

from __future__ import annotations

from pathlib import Path

import click

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.cli.completion import model_argument
from litertlm.cli.verification import failed_checks, report_fields, report_lines
from litertlm.errors import QualityCheckFailed

_PARTS = ("structure", "prompts", "quality", "behaviour")


@make_command("verify")
@model_argument(on_disk=True)
@click.option(
    "--only",
    type=click.Choice(_PARTS),
    multiple=True,
    help="Run only this check. Can be repeated.",
)
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="The checkpoint of MODEL.  [default: the one on disk]",
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Number of CPU threads.")
@click.option(
    "--repair", is_flag=True, help="Rewrite chat template, stop tokens, BOS and sampler first."
)
def command(
    app: App,
    model: str,
    only: tuple[str, ...],
    checkpoint: Path | None,
    threads: int | None,
    repair: bool,
) -> None:
    """Compare MODEL's bundle with its checkpoint.

    \b
    structure  the file is complete
    prompts    prompts and token ids match transformers
    quality    logits match the checkpoint in float32 (needs ai-edge-litert)
    behaviour  the model answers and stops

    The exit code is 9 if a check fails.
    """
    from litertlm.services import verify as service
    from litertlm.services.acquire import checkpoint_of, find_installed

    installed = find_installed(model, store=app.store, settings=app.settings)
    source = checkpoint_of(installed, app.store, given=checkpoint)
    repaired: list[str] = []
    if repair:
        repaired = service.repair(installed, source, progress=app.output)
        installed = find_installed(model, store=app.store, settings=app.settings)
    report = service.verify(installed, source, parts=only, threads=threads, progress=app.output)
    service.record_report(installed, report, app.store, app.output)
    fields = {"repaired": repaired, **report_fields(report)}
    lines = [*(f"repaired: {line}" for line in repaired), *report_lines(report)]
    app.output.data(fields, "\n".join(lines))
    if not report.passed:
        raise QualityCheckFailed(
            f"{report.model} failed these checks: {', '.join(failed_checks(report))}.",
            hint="`verify --repair` rewrites template and stop tokens; `run --reconvert` "
            "converts again.",
        )
