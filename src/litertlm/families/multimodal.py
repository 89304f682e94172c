"""The language model inside of a multimodal checkpoint, as a checkpoint of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from litertlm.checkpoint import Checkpoint

# model_type -> the type of its `text_config`, where that does not say so itself.
MULTIMODAL = {
    "gemma3": "gemma3_text",
    "gemma3n": "gemma3n_text",
    "gemma4": "gemma4_text",
    "gemma4_unified": "gemma4_unified_text",
    "mistral3": "mistral",
}

# Gemma3ForConditionalGeneration, unlike Gemma3ForCausalLM, does not cap its logits.
_UNCAPPED = frozenset({"gemma3"})

# Names of text tensors as transformers 4 and as transformers 5 writes them.
_TEXT = (
    ("language_model.model.", "model."),
    ("language_model.lm_head.", "lm_head."),
    ("model.language_model.", "model."),
    ("lm_head.", "lm_head."),
)
# What the names of other parts begin with, after `model.` or alone.
_OTHER = {
    "gemma3": ("vision_tower.", "multi_modal_projector."),
    "gemma3n": ("vision_tower.", "audio_tower.", "embed_vision.", "embed_audio."),
    "gemma4": ("vision_tower.", "audio_tower.", "embed_vision.", "embed_audio."),
    "gemma4_unified": ("embed_vision.", "embed_audio."),
    "mistral3": ("vision_tower.", "multi_modal_projector."),
}
OTHER_PARTS = tuple(sorted({prefix for prefixes in _OTHER.values() for prefix in prefixes}))


def is_multimodal(config: Mapping[str, Any]) -> bool:
    """Whether the language model is one part among others."""
    model_type = config.get("model_type")
    return isinstance(model_type, str) and model_type in MULTIMODAL


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config of the language model: `config` itself, or what a multimodal one says of it."""
    if not is_multimodal(config):
        return config
    section = config.get("text_config")
    text = {
        "model_type": MULTIMODAL[config["model_type"]],
        **(section if isinstance(section, Mapping) else {}),
    }
    # The complete model has the head, so its config says whether it is tied; the default is true.
    text["tie_word_embeddings"] = config.get("tie_word_embeddings", True)
    if config["model_type"] in _UNCAPPED:
        text["final_logit_softcapping"] = None
    return text


def text_part(checkpoint: Checkpoint) -> Checkpoint:
    """The language model's config and tensors, under the names of a text-only checkpoint.

    Tensors of the other parts are left out; unknown ones keep their names, so that the family
    reports them. A text-only checkpoint is returned as it is.
    """
    if not is_multimodal(checkpoint.config):
        return checkpoint
    other = _OTHER[checkpoint.config["model_type"]]
    tensors = {
        text_name(name): tensor
        for name, tensor in checkpoint.tensors.items()
        if not name.removeprefix("model.").startswith(other)
    }
    return replace(checkpoint, config=text_config(checkpoint.config), tensors=tensors)


def text_name(name: str) -> str:
    """The name of a tensor in a text-only checkpoint."""
    for prefix, plain in _TEXT:
        if name.startswith(prefix):
            return plain + name[len(prefix) :]
    return name
