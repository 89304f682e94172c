"""Load a bundle for talking to it, with the options that the user, the defaults and it give."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litertlm.bundle_format.info import BundleInfo, read_bundle_info
from litertlm.errors import UsageError
from litertlm.progress import Progress
from litertlm.runtime.engine import Decoding, Engine, EngineOptions, Sampling
from litertlm.services.chat.attachments import check_kinds
from litertlm.services.chat.chat import Chat, ChatOptions
from litertlm.services.chat.options import RunOptions
from litertlm.services.chat.render import (
    TemplateRender,
    base_model_notice,
    is_base_model,
    plain_render,
    template_render,
    template_source,
)
from litertlm.services.chat.stream import THINKING_MARKERS
from litertlm.store.retention import mark_used

if TYPE_CHECKING:
    from litertlm.services.worker import TemplateProcess

LoadEngine = Callable[..., Engine]

# As large as the runtime's sampler takes without slowing down; more tokens never matter.
_TOP_K = 1000
_CACHE_MARGIN = 4_000_000  # bytes; of a small bundle, the cache may be larger


@dataclass(frozen=True)
class LoadedModel:
    """A bundle that is ready to answer.

    Attributes:
        name: as the user calls it.
        bundle: the file.
        info: the metadata of the file.
        engine: the runtime with the weights.
        render: the chat template.
    """

    name: str
    bundle: Path
    info: BundleInfo
    engine: Engine
    render: TemplateRender

    def close(self) -> None:
        """Free the weights, and end the process that renders."""
        self.engine.close()
        self.render.close()

    @property
    def can_switch_thinking(self) -> bool:
        """Whether the template has a switch for thinking."""
        return "enable_thinking" in template_source(self.info)

    def control_tokens(self, text: str) -> tuple[str, ...]:
        """The control tokens of this model in `text`; see `find_control_tokens`."""
        from litertlm.services.chat.control_tokens import find_control_tokens

        return find_control_tokens(text, self.info, self.engine)

    def chat(
        self,
        options: RunOptions,
        *,
        tools: tuple[Mapping[str, Any], ...] = (),
        notice: Callable[[str], None],
    ) -> Chat:
        """A new conversation; see `chat_options`."""
        if options.think is not None and not self.can_switch_thinking:
            notice(f"{self.name} has no switch for thinking.")
        if tools and "tools" not in template_source(self.info):
            notice(f"{self.name} does not support tools: its chat template has none.")
        chat = Chat(
            self.engine,
            self.render,
            chat_options(self.info, options, tools=tools),
            notice=notice,
            cancel_render=self.render.cancel,
        )
        chat.system = options.system or None
        return chat


def load_model(
    name: str,
    bundle: Path,
    cache_dir: Path | None,
    options: RunOptions,
    *,
    progress: Progress,
    raw: bool = False,
    kinds: frozenset[str] = frozenset(),
    instruct: str | None = None,
    while_loading: Callable[[], None] = lambda: None,
    load_engine: LoadEngine | None = None,
    templates: TemplateProcess | None = None,
) -> LoadedModel:
    """Load a bundle.

    Args:
        cache_dir: where the runtime keeps its packed weights; None keeps none.
        options: of these, `context`, `threads` and `backend` are used here.
        raw: texts go to the model as they are, without a template.
        kinds: of attachments that messages may have.
        instruct: the model to chat with instead, in case that this is a base model.
        while_loading: other work to do while the engine loads; it must not write to stderr.
        load_engine: `runtime.litert.load_engine`, or a test's.
        templates: see `template_render`.

    Raises:
        DamagedBundle, EngineFailed, UsageError (context too large), UnsupportedModel (`kinds`).
    """
    if load_engine is None:
        from litertlm.runtime.litert import load_engine as load_litert

        load_engine = load_litert
    info = read_bundle_info(bundle)
    check_kinds(name, info, kinds, raw=raw)
    if cache_dir is not None:
        mark_used(cache_dir)
    if is_base_model(info) and not raw:
        progress.status(base_model_notice(name, instruct))
    if cache_dir is not None and not room_for_cache(cache_dir, bundle):
        progress.warn("The disk has no room for the runtime's cache: loading takes longer.")
        cache_dir = None
    engine_options = EngineOptions(
        backend=options.backend or "cpu",
        threads=options.threads,
        context=_context(info, options.context),
        cache_dir=cache_dir,
        kinds=kinds,
    )
    if engine_options.backend == "gpu":
        from litertlm.services.chat.gpu import gpu_or_cpu

        engine_options = gpu_or_cpu(bundle, info, engine_options, progress)
    made: list[TemplateRender] = []

    def prepare() -> None:
        made.append(TemplateRender(plain_render) if raw else template_render(info, templates))
        while_loading()

    engine = load_engine(bundle, info, engine_options, while_loading=prepare)
    return LoadedModel(name=name, bundle=bundle, info=info, engine=engine, render=made[0])


def room_for_cache(cache_dir: Path, bundle: Path) -> bool:
    """Whether the disk holds the runtime's cache of a bundle, which is about as large.

    Without room the runtime aborts the process. A cache that is there needs none.
    """
    if next(cache_dir.glob(f"{glob.escape(bundle.name)}_*"), None):
        return True
    place = next(folder for folder in (cache_dir, *cache_dir.parents) if folder.exists())
    return shutil.disk_usage(place).free >= bundle.stat().st_size + _CACHE_MARGIN


def chat_options(
    info: BundleInfo, options: RunOptions, *, tools: tuple[Mapping[str, Any], ...] = ()
) -> ChatOptions:
    """Options of a conversation.

    Args:
        tools: JSON schemas of functions that the model may call.
        options: of `run`; what is not chosen is the bundle's own.
    """
    return ChatOptions(
        decoding=Decoding(
            sampling=_sampling(info, options),
            max_tokens=options.max_tokens,
            repetition_penalty=options.repetition_penalty,
            presence_penalty=options.presence_penalty,
            frequency_penalty=options.frequency_penalty,
            # Those of a request take the place of the bundle's in the runtime.
            suppressed=(*info.suppressed_tokens, *options.suppressed) if options.suppressed else (),
            json_schema=options.schema,
        ),
        stop=options.stop,
        think=options.think,
        markers=_markers(info, tools),
        tools=tools,
    )


def _sampling(info: BundleInfo, options: RunOptions) -> Sampling | None:
    """The bundle's parameters, overridden by the user's; None leaves all to the runtime.

    The runtime takes all of them or none, so the ones that are not given must be filled in here.
    """
    own = info.sampler
    temperature, top_k, top_p = options.temperature, options.top_k, options.top_p
    given = (temperature, top_k, top_p) != (None, None, None)
    if own is None and not given and options.seed is None:
        return None
    if temperature == 0 or (own is not None and own.greedy and not given):
        return Sampling(1.0, top_k=1, top_p=1.0, seed=options.seed or 0)
    if own is not None and not own.greedy:
        temperature = own.temperature if temperature is None else temperature
        top_k = own.top_k if top_k is None else top_k
        top_p = own.top_p if top_p is None else top_p
    return Sampling(
        temperature=1.0 if temperature is None else temperature,
        top_k=_TOP_K if top_k is None else top_k,
        top_p=1.0 if top_p is None else top_p,
        # Chosen here and not by the runtime, so that --json can show it and it can be repeated.
        seed=int.from_bytes(os.urandom(4), "little") >> 1 if options.seed is None else options.seed,
    )


def _markers(info: BundleInfo, tools: Sequence[object]) -> dict[str, tuple[str, str]]:
    """Texts around thinking (the bundle's channel, or what its template speaks of) and calls."""
    markers = {}
    template = template_source(info)
    if info.channels:
        markers["thinking"] = next(iter(info.channels.values()))
    elif info.thinking or any(mark in template for mark in THINKING_MARKERS):
        markers["thinking"] = THINKING_MARKERS
    if tools:
        from litertlm.services.chat.tool_calls import MARKERS

        markers["tool"] = next((pair for pair in MARKERS if pair[0] in template), MARKERS[0])
    return markers


def _context(info: BundleInfo, wanted: int | None) -> int | None:
    """The context to ask the runtime for, or None for the bundle's own."""
    if wanted is None:
        return None
    maximum = info.longest_context
    if maximum is not None and wanted > maximum:
        raise UsageError(
            f"A context of {wanted:,} tokens exceeds the model's maximum.",
            why=f"Its maximum is {maximum:,}.",
            hint=f"Use --context {maximum} or less.",
        )
    return wanted
