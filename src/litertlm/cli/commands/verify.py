"""`litert-lm-cli verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from litertlm.cli.app import App
from litertlm.cli.app import command as make_command
from litertlm.errors import QualityCheckFailed

if TYPE_CHECKING:
    from litertlm.services.verify import Report

_PARTS = ("structure", "prompts", "quality", "behaviour")
_MARKS = {"passed": "✓", "warned": "!", "failed": "✗", "not checked": "-"}


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
    from litertlm.services import verify as service
    from litertlm.services.acquire import find_installed

    installed = find_installed(model, store=app.store, settings=app.settings)
    source = checkpoint or service.checkpoint_of(installed, app.store)
    repaired: list[str] = []
    if repair:
        repaired = service.repair(installed, source, progress=app.output)
        installed = find_installed(model, store=app.store, settings=app.settings)
    report = service.verify(installed, source, parts=only, threads=threads, progress=app.output)
    app.output.data(
        {
            "model": report.model,
            "path": str(report.bundle),
            "passed": report.passed,
            "repaired": repaired,
            "checks": [
                {
                    "name": check.name,
                    "verdict": check.verdict.value,
                    "summary": check.summary,
                    "problems": list(check.problems),
                    **check.values,
                }
                for check in report.checks
            ],
        },
        "\n".join([*(f"repaired: {line}" for line in repaired), *_lines(report)]),
    )
    if not report.passed:
        failed = [check.name for check in report.checks if check.verdict.value == "failed"]
        raise QualityCheckFailed(
            f"{report.model} did not pass: {', '.join(failed)}.",
            hint="`verify --repair` rewrites prompts and stop tokens; `run --reconvert` "
            "converts again.",
        )


def _lines(report: Report) -> list[str]:
    lines = []
    for check in report.checks:
        lines.append(f"{_MARKS[check.verdict.value]} {check.name:<10} {check.summary}")
        lines += [f"    {problem}" for problem in check.problems]
    return lines
