"""Download and convert a model again."""

from __future__ import annotations

from dataclasses import replace

from litertlm.constants import GGUF_SUFFIX
from litertlm.progress import Progress
from litertlm.services.acquire import CATALOG, AcquireRequest, acquire, forget_download
from litertlm.services.convert import DEFAULT_PREFILL_LENGTHS, ConvertOptions
from litertlm.services.update.state import State
from litertlm.settings import Settings
from litertlm.store import (
    InstalledModel,
    Provenance,
    Store,
    parse_name,
    write_provenance,
)
from litertlm.store.files import remove


def renew(state: State, *, store: Store, settings: Settings, progress: Progress) -> InstalledModel:
    """Bring an outdated model up to date, with the options that it was converted with.

    The bundle on disk is replaced when the new one is complete.

    Raises:
        LiteRtLmError: as `acquire`; the bundle on disk is unchanged then.
    """
    model, known = state.model, state.model.provenance
    assert known is not None, "a model without a record is not outdated"
    name = parse_name(model.name)
    if state.same_content:
        with store.lock(name, progress):
            write_provenance(model.bundle, replace(known, commit=state.newer))
        found = store.find(name, file=model.bundle.name)
        return found or model
    checkpoint = store.checkpoint_dir(name)
    has_checkpoint, file = checkpoint.is_dir(), None
    if state.newer is not None:
        if known.source == "hub":
            ggufs = sorted(checkpoint.glob(f"*{GGUF_SUFFIX}"))
            file = model.bundle.name if known.recipe is None else ggufs[0].name if ggufs else None
            forget_download(checkpoint)
        else:
            remove(checkpoint)
    request = AcquireRequest(
        known.origin if known.source == "local" else model.name,
        options=_options(known),
        reconvert=True,
        revision=known.revision,
        file=file,
        base=None if known.base is None else _reference(known.base),
        keep_checkpoint=has_checkpoint,
    )
    return acquire(request, store=store, settings=settings, progress=progress)


def _options(known: Provenance) -> ConvertOptions:
    """The options in a record; the defaults for a downloaded bundle."""
    if known.recipe is None:
        return ConvertOptions()
    defaults, made = ConvertOptions(), known.options
    lengths = made.get("prefill_seq_len") or DEFAULT_PREFILL_LENGTHS
    return ConvertOptions(
        recipe=known.recipe,
        kv_cache_max_len=made.get("kv_cache_max_len", defaults.kv_cache_max_len),
        shapes=made.get("shapes", defaults.shapes),
        prefill_lengths=tuple(lengths),
    )


def _reference(origin: str) -> str:
    """What a user calls the model with this origin."""
    packages = ((entry.alias, entry.package) for entry in CATALOG if entry.package)
    return next((alias for alias, p in packages if origin == f"{p.project} (package)"), origin)
