"""What one tiny checkpoint and one family of them are; the configurations are in tiny.families.

Configs are spelled as checkpoints on the Hub spell them: some in the keys of transformers 4
(`rope_theta`, `rope_scaling`), some in those of transformers 5 (`rope_parameters`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiny.tensors import Shape, Shapes, layer_tensors
from tiny.tokenizer import BOS, EOS, IM_END, VOCAB_SIZE

WINDOW = 12  # tokens; shorter than the longer prompts of the goldens

# Vision tower of a tiny multimodal Mistral.
PIXTRAL = {
    "hidden_size": 16,
    "image_size": 28,
    "intermediate_size": 32,
    "model_type": "pixtral",
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "patch_size": 14,
}

_TORCH_DTYPE = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


@dataclass(frozen=True)
class TinyModel:
    """One tiny checkpoint.

    Attributes:
        name: key in MODELS, `<model_type>-<what is special>`.
        config: config.json.
        dtype: how tensors are stored: `BF16`, `F16` or `F32`.
        shards: number of safetensors files (an index is written when above 1).
        adds_bos: whether the tokenizer puts `<bos>` first.
        prefix: what text tensor names start with, in place of `model.`.
        embedding: largest absolute value in the embedding; smaller where a family scales it up,
            so that a tied head does not just repeat the last token (the last norm makes up for it).
        depends_on: other values of config keys, each of which must change the logits; a key
            inside of an object is written `outer/key`.
        unsupported: keys that must be named when their config changes so.
        gguf: the config values of llama.cpp where GGUF cannot say this model's; None where the
            model is not tested as a GGUF file.
    """

    name: str
    config: Mapping[str, Any]
    dtype: str = "BF16"
    shards: int = 1
    adds_bos: bool = False
    prefix: str = "model."
    embedding: float = 0.6
    depends_on: Mapping[str, Any] = field(default_factory=dict)
    unsupported: Sequence[tuple[str, Mapping[str, Any]]] = ()
    gguf: Mapping[str, Any] | None = None

    @property
    def text_config(self) -> Mapping[str, Any]:
        """The config of the language model: `text_config` of a multimodal one."""
        text: Mapping[str, Any] = self.config.get("text_config", self.config)
        return text


@dataclass(frozen=True)
class TinyGguf:
    """How llama.cpp's converter writes a family.

    Attributes:
        architecture: a name of `gguf.MODEL_ARCH`.
        interleaved: it interleaves query and key rows, and writes the rotary dimensions.
        window: it writes `sliding_window`.
        norm_eps: the method that writes the epsilon of norms, and its config key.
        keys: config keys that are written, by the method of `gguf.GGUFWriter`.
        replaced: values of parameters that differ from the common ones, by the method of
            `gguf.GGUFWriter`; None leaves one out.
        parameters: writes what is left, with the writer and the config.
        stacked: modules of which the converter stacks the matrices `.0`, `.1` and so on.
        values: tensors of one value, by the ends of their names, that it writes as a list of the
            values of all layers, by the method of `gguf.GGUFWriter`.
        rope_factors: the divisors of frequencies that it stores, if it does.
        family: the family that the file is read as, where it is another one.
    """

    architecture: str
    interleaved: bool = False
    window: bool = True
    norm_eps: tuple[str, str] = ("add_layer_norm_rms_eps", "rms_norm_eps")
    keys: Mapping[str, str] = field(default_factory=dict)
    replaced: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda config: {}
    parameters: Callable[[Any, Any], None] = lambda writer, config: None
    stacked: Sequence[str] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    rope_factors: Callable[[Mapping[str, Any]], Sequence[float]] | None = None
    family: str | None = None


@dataclass(frozen=True)
class TinyFamily:
    """The tiny models of one family, and what the tests must know of it.

    It is written apart from `src/` on purpose. The graphs of its first model are among the
    goldens of tests/graphs.

    Attributes:
        model_type: as in the family's table.
        models: at least two, so that every key is exercised by one.
        layer: names and shapes of a layer's tensors for a config, in the order of the modules.
        each_layer: the same where layers differ, for a config and the number of a layer.
        outside: names and shapes of tensors outside of layers, beside embeddings, norm and head.
        factors: what multiplies the values of tensors, by the ends of their names.
        norm_offset: what the family adds to the weights of its norms.
        tied: embeddings are tied where a config does not say.
        final_norm: tensors of the norm before the head, each of the hidden size.
        head_bias: the head has a bias.
        gguf: None where llama.cpp does not convert the family.
    """

    model_type: str
    models: tuple[TinyModel, ...]
    layer: Callable[[Mapping[str, Any]], Iterator[tuple[str, Shape]]] = layer_tensors
    each_layer: Callable[[Mapping[str, Any], int], Iterator[tuple[str, Shape]]] | None = None
    outside: Callable[[Mapping[str, Any]], Shapes] = lambda config: {}
    factors: Mapping[str, float] = field(default_factory=dict)
    norm_offset: float = 0.0
    tied: bool = False
    final_norm: tuple[str, ...] = ("norm.weight",)
    head_bias: bool = False
    gguf: TinyGguf | None = None


def tiny(
    model_type: str,
    what: str,
    architecture: str,
    *,
    dtype: str = "BF16",
    shards: int = 1,
    adds_bos: bool = False,
    prefix: str = "model.",
    embedding: float = 0.6,
    depends_on: Mapping[str, Any] | None = None,
    unsupported: Sequence[tuple[str, Mapping[str, Any]]] = (),
    gguf: Mapping[str, Any] | None = None,
    **config: Any,
) -> TinyModel:
    """A tiny model from the keys that its config.json has beside the common ones.

    Args:
        architecture: transformers' class.
    """
    common = {
        "architectures": [architecture],
        "model_type": model_type,
        "torch_dtype": _TORCH_DTYPE[dtype],
        "bos_token_id": BOS,
        "eos_token_id": [EOS, IM_END],
    }
    if "text_config" not in config:
        common |= {"vocab_size": VOCAB_SIZE, "rms_norm_eps": 1e-5, "max_position_embeddings": 2048}
    return TinyModel(
        name=f"{model_type}-{what}",
        config=common | config,
        dtype=dtype,
        shards=shards,
        adds_bos=adds_bos,
        prefix=prefix,
        embedding=embedding,
        depends_on=depends_on or {},
        unsupported=unsupported,
        gguf=gguf,
    )


def size(hidden: int, layers: int, heads: int, kv_heads: int, *, mlp: int = 96) -> dict[str, Any]:
    """The keys that say how large a model is."""
    return {
        "hidden_size": hidden,
        "intermediate_size": mlp,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
    }
