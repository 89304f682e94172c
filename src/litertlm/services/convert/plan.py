"""Plan a conversion: everything that is known before a weight is read."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from litertlm import __version__
from litertlm.bundle import metadata
from litertlm.bundle.prompt_config import (
    PromptConfig,
    read_prompt_config,
    source_template,
    system_items,
)
from litertlm.bundle.tokenizer import choose_tokenizer
from litertlm.bundle.tokenizer_section import packed_tokenizer
from litertlm.bundle_format.constants import EXECUTOR_METADATA, LLM_METADATA
from litertlm.checkpoint import Checkpoint
from litertlm.constants import DEFAULT_CONTEXT
from litertlm.errors import UsageError
from litertlm.families import Signature
from litertlm.graph import Dim, Model
from litertlm.graph.verify import verify
from litertlm.quantize import INT4, INT4_GRID, RECIPES, Recipe, apply
from litertlm.services import bundle_file
from litertlm.services.bundle_file import BundleLayout, Section, tflite_section
from litertlm.services.checkpoint_source import CheckpointSource
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.worker import TemplateProcess
from litertlm.tflite import Layout
from litertlm.tflite import plan as plan_tflite
from litertlm.tflite.delegate import separate_copies


@dataclass(frozen=True)
class ConversionPlan:
    """Everything about a conversion that is known before a weight is read."""

    source: CheckpointSource
    options: ConvertOptions
    prompting: PromptConfig
    bundle: BundleLayout

    @property
    def nbytes(self) -> int:
        """Size of the bundle."""
        return self.bundle.nbytes

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The planned TFLite files, in file order."""
        return self.bundle.layouts

    @property
    def kept_grids(self) -> tuple[int, int]:
        """How many int4 weights were on a 4-bit grid already, and how many there are."""
        encodings = [weight.encoding for layout in self.layouts for weight in layout.weights]
        kept = encodings.count(INT4_GRID)
        return kept, kept + encodings.count(INT4)


def plan_conversion(
    source: Path, options: ConvertOptions, *, base: Path | None = None
) -> ConversionPlan:
    """Read headers, build and check the graph, and lay out the bundle. Reads at most a few rows
    of each weight (`quantize.apply`)."""
    with TemplateProcess() as templates:
        return plan_source(CheckpointSource(source, base), options, templates)


def plan_source(
    source: CheckpointSource, options: ConvertOptions, templates: TemplateProcess
) -> ConversionPlan:
    """`plan_conversion` of a checkpoint that may have been opened before.

    Args:
        templates: adapts the chat template, while the graph is built.
    """
    family, checkpoint = source.family, source.checkpoint
    if (template := source_template(checkpoint)) is not None:
        templates.begin(template)
    options = clamp_context(options, family.max_context)
    recipe = check_options(options, family.max_context)
    tokenizer = choose_tokenizer(checkpoint.tokenizer)
    with ThreadPoolExecutor(1) as pool:
        # zlib runs beside Python, which builds the graph meanwhile.
        packing = pool.submit(packed_tokenizer, tokenizer.kind, tokenizer.data)
        models = {bundle_file.PREFILL_DECODE: family.build(checkpoint, signatures(options))}
        layouts = plan_models(models, recipe, cache_length=options.kv_cache_max_len)
        packed = packing.result()
    prompts = read_prompt_config(checkpoint, templates.adapt)
    return _plan_bundle(source, options, prompts, packed, layouts)


def plan_models(
    models: Mapping[str, Model], recipe: Recipe, *, cache_length: int
) -> dict[str, Layout]:
    """Quantize, check and lay out the models of a bundle, by the runtime's `model_type`.

    Raises:
        GraphError: a graph breaks a rule of `graph.verify` (a bug of a family).
    """
    layouts = {}
    for model_type, model in models.items():
        encoding_of = apply(model, recipe)
        separate_copies(model)
        verify(model)
        layouts[model_type] = plan_tflite(
            model,
            encoding_of,
            cache_length=cache_length,
            description=f"litert-lm-cli {__version__}",
        )
    return layouts


def clamp_context(options: ConvertOptions, longest: int) -> ConvertOptions:
    """`options` with a cache of the `longest` context that a model has, if that is less than the
    default and no length was requested."""
    if options.shorten and options.kv_cache_max_len == DEFAULT_CONTEXT > longest:
        return replace(options, kv_cache_max_len=longest)
    return options


def check_options(options: ConvertOptions, longest: int) -> Recipe:
    """The recipe, when the options fit each other and a model of `longest` positions.

    Raises:
        UsageError: names the option.
    """
    recipe = RECIPES.get(options.recipe)
    if recipe is None:
        raise UsageError(
            f"There is no quantization {options.recipe!r}.",
            hint=f"--quantize takes {', '.join(RECIPES)}.",
        )
    if not 0 < options.kv_cache_max_len <= longest:
        raise UsageError(
            f"--kv-cache-max-len {options.kv_cache_max_len} cannot work for this model.",
            why=f"It must be between 1 and the model's maximum of {longest} tokens.",
        )
    if options.shapes not in ("dynamic", "static"):
        raise UsageError(f"--shapes is dynamic or static, not {options.shapes!r}.")
    lengths = options.prefill_lengths
    if not lengths or lengths[0] < 1 or list(lengths) != sorted(set(lengths)):
        raise UsageError("--prefill-seq-len must be positive and ascending, without repeats.")
    if options.shapes == "static" and lengths[0] > options.kv_cache_max_len:
        raise UsageError(
            f"--prefill-seq-len {lengths[0]} is longer than "
            f"--kv-cache-max-len {options.kv_cache_max_len}."
        )
    return recipe


def signatures(options: ConvertOptions) -> list[Signature]:
    """The entry points of the model: prefill, one or one per length, and decode."""
    if options.shapes == "dynamic":
        cache = Dim("C")
        return [
            Signature("prefill", Dim("S"), cache, logits=False),
            Signature("decode", 1, cache, logits=True),
        ]
    length = options.kv_cache_max_len
    prefill = [
        Signature(f"prefill_{s}", s, length, logits=False)
        for s in options.prefill_lengths
        if s <= length
    ]
    return [*prefill, Signature("decode", 1, length, logits=True)]


def count_parameters(checkpoint: Checkpoint) -> int:
    """Number of values in all tensors."""
    total = 0
    for tensor in checkpoint.tensors.values():
        count = 1
        for size in tensor.shape:
            count *= size
        total += count
    return total


def _plan_bundle(
    source: CheckpointSource,
    options: ConvertOptions,
    prompts: PromptConfig,
    tokenizer: tuple[str, bytes],
    layouts: Mapping[str, Layout],
) -> ConversionPlan:
    family = source.family
    static = options.shapes == "static"
    executor = metadata.executor_metadata(
        family.states,
        cache_length=options.kv_cache_max_len if static else None,
        max_context=family.max_context,
    )
    llm = metadata.llm_metadata(prompts, max_num_tokens=options.kv_cache_max_len)
    sections = [
        Section(LLM_METADATA, llm),
        Section(EXECUTOR_METADATA, executor),
        Section(*tokenizer),
        *(tflite_section(model_type, layout) for model_type, layout in layouts.items()),
    ]
    system = {
        "uuid": str(uuid.UUID(int=0)),
        # A fixed time: the same checkpoint gives the same bytes at any time.
        "creation_timestamp": "1970-01-01T00:00:00+00:00",
        "created_by": f"litert-lm-cli {__version__}",
        "recipe": options.recipe,
        "shapes": options.shapes,
        "family": family.name,
    }
    system.update(system_items(prompts))
    return ConversionPlan(
        source=source,
        options=options,
        prompting=prompts,
        bundle=bundle_file.place(sections, system),
    )
