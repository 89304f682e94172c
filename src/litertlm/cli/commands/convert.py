"""`litert-lm-cli convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from litertlm.cli.app import App, progress_option
from litertlm.cli.app import command as make_command
from litertlm.cli.completion import model_argument
from litertlm.cli.conversion_options import conversion_options, convert_options
from litertlm.cli.describe import model_fields
from litertlm.cli.hub_options import hub_options
from litertlm.cli.verification import failed_checks, report_fields, report_lines
from litertlm.errors import QualityCheckFailed

if TYPE_CHECKING:
    from litertlm.services.checkpoint_source import CheckpointSource
    from litertlm.services.convert import Conversion
    from litertlm.services.verify import Check, Report
    from litertlm.store import InstalledModel, Store


@make_command("convert")
@progress_option
@model_argument()
@conversion_options
@hub_options
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write to FOLDER/ORG/NAME/NAME.litertlm.  [default: models folder]",
)
@click.option("--force", is_flag=True, help="Convert again if the bundle exists.")
@click.option("--verify", is_flag=True, help="Run all checks of `verify` on the new bundle.")
@click.option("--no-check", is_flag=True, help="Skip the test questions after the conversion.")
def command(
    app: App,
    model: str,
    output_dir: Path | None,
    force: bool,
    verify: bool,
    no_check: bool,
    revision: str | None,
    file: str | None,
    base: str | None,
    keep_checkpoint: bool,
    **values: Any,
) -> None:
    """Convert MODEL's checkpoint to a .litertlm bundle.

    The bundle's structure, prompts and token ids are checked against the checkpoint before it is
    saved. Then the model answers two short questions; an empty or repetitive answer is a warning.
    """
    from litertlm.services.acquire import AcquireRequest, acquire
    from litertlm.services.verify import check_fields
    from litertlm.store import Store

    store = Store(app.settings.cwd / output_dir) if output_dir else app.store
    request = AcquireRequest(
        model,
        options=convert_options(**values),
        reconvert=force,
        revision=revision,
        file=file,
        base=base,
        keep_checkpoint=keep_checkpoint,
        checkpoint_wanted=True,
    )
    made: list[Conversion] = []
    with app.output.about(model):
        installed = acquire(
            request,
            store=store,
            settings=app.settings,
            progress=app.output,
            converted=made.append,
        )
        app.output.event("ready", path=str(installed.bundle))
    lines: list[str] = []
    checks = [check for one in made for check in one.report.checks]
    verified: dict[str, Any] = {}
    if verify:
        report = _verified(app, installed, store, made[0].source if made else None)
        verified = {"verified": report_fields(report)}
        lines = report_lines(report)
    elif made and not no_check:
        checks.append(_answers(app, installed, cache=output_dir is None))
    fields = model_fields(installed, store)
    fields["checks"] = [check_fields(check) for check in checks]
    fields.update(verified)
    if app.output.json_wanted or lines:
        app.output.data(fields, "\n".join(lines))


def _answers(app: App, installed: InstalledModel, *, cache: bool) -> Check:
    """Ask a new bundle two short questions; warn about bad answers.

    Args:
        cache: whether the runtime may cache its packed weights, which makes the next start fast.
    """
    from litertlm.services.verify import Verdict, check_behaviour_briefly

    app.output.status("Asking the model two test questions...")
    check = check_behaviour_briefly(installed.bundle, installed.cache_dir if cache else None)
    model = installed.name if cache else app.settings.shown(installed.bundle)
    command = f"litert-lm-cli verify {model}"
    if check.verdict is Verdict.WARNED:
        problems = " ".join(check.problems)
        app.output.warn(
            f"{problems} This is normal for an untrained model. If yours is trained, run: {command}"
        )
    elif check.verdict is Verdict.NOT_CHECKED:
        app.output.warn(
            f"The answers were not checked: {check.summary} To check them, run: {command}"
        )
    return check


def _verified(
    app: App, installed: InstalledModel, store: Store, source: CheckpointSource | None
) -> Report:
    """Run all checks; a bundle that fails one is renamed, so that `run` does not use it.

    Args:
        source: the checkpoint that was just converted, if there is one.
    """
    from litertlm.services import verify as service
    from litertlm.services.acquire import checkpoint_of

    source = source or checkpoint_of(installed, store)
    report = service.verify(installed, source, progress=app.output)
    service.record_report(installed, report, store, app.output)
    if not report.passed:
        rejected = service.reject(installed)
        raise QualityCheckFailed(
            f"{report.model} failed these checks: {', '.join(failed_checks(report))}.",
            why="\n".join(report_lines(report)),
            hint=f"The bundle was kept as {rejected}.",
        )
    return report
