"""Bundles of a tiny model with random weights that takes images and sound.

The language model is a tiny Llama that is given embeddings, as the runtime wants it of a model that
takes more than text: the embeddings of tokens come from a graph of their own, and those of an image
or a sound from an encoder and an adapter. The names of inputs and outputs are the runtime's
(google-ai-edge/LiteRT-LM, runtime/executor).
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
from litert_lm_builder.runtime.proto import llm_metadata_pb2
from numpy.typing import NDArray

from litertlm.bundle import metadata
from litertlm.bundle.tokenizer_section import packed_tokenizer
from litertlm.bundle_format.constants import EXECUTOR_METADATA, LLM_METADATA
from litertlm.checkpoint import open_checkpoint
from litertlm.families import Signature, identify
from litertlm.graph import Constant, DType, Graph, Model, ops
from litertlm.quantize import RECIPES, apply
from litertlm.services.verify.stub_bundle import write_bundle
from litertlm.tflite import plan as plan_tflite
from tiny.checkpoint import write_checkpoint
from tiny.models import MODELS
from tiny.tokenizer import EOS, IM_END, tokenizer_json

SIDE = 16  # pixels
TOKENS = 16  # that an image takes; a sound takes one for each 10 ms
_FRAMES, _MELS = 32, 128  # of a spectrogram, as the runtime makes it
_CACHE = 512
_PREFILL = (16, 64, 256)

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% else %}<start_of_{{ part.type }}>{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_multimodal_bundle(folder: Path, kinds: Collection[str] = ("image", "audio")) -> Path:
    """Write a bundle for these kinds of attachments into `folder` and return it."""
    checkpoint = open_checkpoint(write_checkpoint(MODELS["llama-gqa-tied"], folder / "checkpoint"))
    family = identify(checkpoint.config)
    signatures = [Signature(f"prefill_{s}", s, _CACHE, logits=False) for s in _PREFILL]
    signatures.append(Signature("decode", 1, _CACHE, logits=True))
    language = family.build(checkpoint, signatures)
    table = _take_embeddings(language)
    hidden = table.shape[1]
    models = {
        "tf_lite_embedder": Model((_embedder(table),)),
        "tf_lite_prefill_decode": language,
    }
    if "image" in kinds:
        models["tf_lite_vision_encoder"] = Model((_image_encoder(hidden),))
        models["tf_lite_vision_adapter"] = Model((_image_adapter(hidden),))
    if "audio" in kinds:
        models["tf_lite_audio_encoder_hw"] = Model((_audio_encoder(hidden),))
        models["tf_lite_audio_adapter"] = Model((_audio_adapter(hidden),))
    kind, tokenizer = packed_tokenizer("huggingface", tokenizer_json(adds_bos=False))
    contents = {
        LLM_METADATA: _metadata(),
        kind: tokenizer,
        EXECUTOR_METADATA: metadata.executor_metadata(
            family.states, cache_length=_CACHE, max_context=_CACHE
        ),
    }
    layouts = {
        name: plan_tflite(
            model, apply(model, RECIPES["none"]), cache_length=_CACHE, description=name
        )
        for name, model in models.items()
    }
    target = folder / "multimodal.litertlm"
    write_bundle(target, contents, layouts)
    return target


def _take_embeddings(model: Model) -> Constant:
    """Make every graph take embeddings where it took tokens; returns the table."""
    found = None
    for graph in model.graphs:
        lookup = next(op for op in graph.ops if op.kind == "embedding_lookup")
        rows = next(op for op in graph.ops if lookup.output in op.inputs)
        given = graph.input("embeddings", rows.output.shape)
        for op in graph.ops:
            op.inputs = tuple(given if t is rows.output else t for t in op.inputs)
        del graph.inputs["tokens"]
        graph.prune()
        found = lookup.inputs[1].constant
    assert found is not None
    return found


def _embedder(table: Constant) -> Graph:
    graph = Graph("decode_embedder")
    ids = ops.reshape(graph.input("token_ids", (1, 1), DType.INT32), (1,))
    rows = ops.embedding_lookup(ids, graph.constant(table))
    graph.output("embeddings", ops.reshape(rows, (1, 1, table.shape[1])))
    return graph


def _image_encoder(hidden: int) -> Graph:
    width = SIDE * SIDE * 3 // TOKENS
    graph = Graph("vision_encoder")
    pixels = graph.input("images", (1, SIDE, SIDE, 3))
    patches = ops.reshape(pixels, (1, TOKENS, width))
    weight = graph.constant(_weight("image_encoder", (hidden, width)))
    graph.output("features", ops.fully_connected(patches, weight))
    return graph


def _image_adapter(hidden: int) -> Graph:
    graph = Graph("vision_adapter")
    features = graph.input("soft_tokens", (1, TOKENS, hidden))
    weight = graph.constant(_weight("image_adapter", (hidden, hidden)))
    graph.output("mm_embedding", ops.tanh(ops.fully_connected(features, weight)))
    return graph


def _audio_encoder(hidden: int) -> Graph:
    graph = Graph("audio_encoder")
    mask = graph.input("mask", (1, _FRAMES), DType.BOOL)
    spectrogram = graph.input("src_inputs", (1, _FRAMES, _MELS))
    weight = graph.constant(_weight("audio_encoder", (hidden, _MELS)))
    graph.output("mask", ops.greater_equal(ops.cast_float(mask), 0.5))
    graph.output("features", ops.fully_connected(spectrogram, weight))
    return graph


def _audio_adapter(hidden: int) -> Graph:
    graph = Graph("audio_adapter")
    # The runtime gives it the mask as the first input.
    mask = graph.input("mask", (1, _FRAMES), DType.BOOL)
    features = graph.input("features", (1, _FRAMES, hidden))
    weight = graph.constant(_weight("audio_adapter", (hidden, hidden)))
    kept = ops.reshape(ops.cast_float(mask), (1, _FRAMES, 1))
    embedded = ops.tanh(ops.fully_connected(features, weight))
    graph.output("mm_embedding", ops.mul(embedded, kept))
    return graph


def _weight(name: str, shape: tuple[int, int]) -> Constant:
    random = np.random.RandomState(zlib.crc32(name.encode()))
    values: NDArray[np.float32] = (random.standard_normal(shape) / shape[1] ** 0.5).astype("f")
    return Constant(name, shape, DType.FLOAT32, lambda start, stop: values[start:stop].copy())


def _metadata() -> bytes:
    message = llm_metadata_pb2.LlmMetadata(max_num_tokens=_CACHE, jinja_prompt_template=TEMPLATE)
    for token in (EOS, IM_END):
        message.stop_tokens.add().token_ids.ids.append(token)
    model = message.llm_model_type.gemma3
    model.image_tensor_height = model.image_tensor_width = SIDE
    return bytes(message.SerializeToString(deterministic=True))
