"""Messages about a download from the Hub before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litertlm.errors import LiteRtLmError
from litertlm.progress import Progress
from litertlm.services.acquire.catalog import lookup
from litertlm.units import format_bytes

if TYPE_CHECKING:
    from litertlm.hub.client import HubClient
    from litertlm.hub.info import RepoInfo
    from litertlm.services.acquire.plan import DownloadPlan

READY_ORG = "litert-community"  # publishes ready bundles of other organisations' checkpoints


def report_plan(
    client: HubClient | None, plan: DownloadPlan, progress: Progress, *, as_base: bool
) -> None:
    """Print what will be downloaded; for a base without the headline, which its adapter had."""
    info = plan.info
    total = format_bytes(sum(f.size for f in plan.files))
    licence = f", licence {info.licence}" if info.licence else ""
    if plan.kind == "bundle":
        progress.status("Model not found locally. Downloading from HuggingFace...")
    elif not as_base:
        progress.status("Model not found locally. Converting from HuggingFace...")
    what = plan.files[0].path if len(plan.files) == 1 else f"{len(plan.files)} files"
    progress.status(f"{info.repo}: {what}, {total}{licence}")
    progress.detail(f"Commit {info.commit}.")
    if plan.others:
        progress.status(f"Other files (--file NAME): {', '.join(plan.others)}")
    if plan.elsewhere:
        progress.detail(f"Not for this machine: {', '.join(plan.elsewhere)}")
    if plan.adapter:
        progress.status(f"It is a LoRA adapter; its base is {plan.adapter.base or 'not named'}.")
    elif (
        plan.kind != "bundle" and not as_base and client and (ready := _ready_bundle(client, info))
    ):
        progress.status(f"A ready bundle of this model exists {ready}")


def _ready_bundle(client: HubClient, info: RepoInfo) -> str | None:
    """Size and command of the litert-community bundle of this checkpoint, if there is one."""
    from litertlm.hub.choose import choose_bundle
    from litertlm.hub.info import repo_info

    entry = lookup(info.repo)
    name = (entry.ready if entry else None) or f"{READY_ORG}/{info.repo.partition('/')[2]}"
    try:
        found = repo_info(client, name)
        bundle = choose_bundle(found)
    except LiteRtLmError:  # only a suggestion: its failure changes nothing
        return None
    bases = {base.lower() for base in found.base_models}
    if bundle is None or (bases and info.repo.lower() not in bases):
        return None
    return f"({format_bytes(bundle.file.size)}): litert-lm-cli run {found.repo}"
