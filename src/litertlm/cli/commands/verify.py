"""`litert-lm-cli verify`."""

from __future__ import annotations

from pathlib import Path

import click

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.cli.verification import failed_checks, report_fields, report_lines
from litertlm.errors import QualityCheckFailed

_PARTS = ("structure", "prompts", "quality", "behaviour")


@make_command("verify")
@click.argument("model")
@click.option(
    "--only",
    type=click.Choice(_PARTS),
    multiple=True,
    help="Check this only; may be given several times.",
)
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="The checkpoint that MODEL was made from.  [default: the one on disk]",
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads.")
@click.option(
    "--repair", is_flag=True, help="First rewrite template, stop tokens, BOS and sampler."
)
def command(
    app: App,
    model: str,
    only: tuple[str, ...],
    checkpoint: Path | None,
    threads: int | None,
    repair: bool,
) -> None:
    """Check how close MODEL's bundle is to its checkpoint.

    structure: the file is whole. prompts: prompts and token ids are those of transformers.
    quality: the logits are those of the checkpoint in float32 (needs ai-edge-litert). behaviour:
    it answers and stops. Exit code 9 if a check fails.
    """
    from litertlm.services.acquire.acquire import find_installed
    from litertlm.services.verify import verify as service

    installed = find_installed(model, store=app.store, settings=app.settings)
    source = service.checkpoint_of(installed, app.store, given=checkpoint)
    repaired: list[str] = []
    if repair:
        repaired = service.repair(installed, source, progress=app.output)
        installed = find_installed(model, store=app.store, settings=app.settings)
    report = service.verify(installed, source, parts=only, threads=threads, progress=app.output)
    fields = {"repaired": repaired, **report_fields(report)}
    lines = [*(f"repaired: {line}" for line in repaired), *report_lines(report)]
    app.output.data(fields, "\n".join(lines))
    if not report.passed:
        raise QualityCheckFailed(
            f"{report.model} did not pass: {', '.join(failed_checks(report))}.",
            hint="`verify --repair` rewrites prompts and stop tokens; `run --reconvert` "
            "converts again.",
        )
