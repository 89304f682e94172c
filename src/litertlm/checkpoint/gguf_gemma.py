"""The GGUF architectures of Gemma 3n and Gemma 4.

Keys and tensors: https://github.com/ggml-org/llama.cpp/blob/master/conversion/gemma.py
(`Gemma3NModel`, `Gemma4Model`), src/models/gemma3n.cpp and gemma4.cpp.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from litertlm.checkpoint.gguf_config import ArchitectureKeys, Config
from litertlm.errors import UnsupportedModel

PER_LAYER_NAMES = {
    "inp_gate": "per_layer_input_gate",
    "proj": "per_layer_projection",
    "post_norm": "post_per_layer_input_norm",
}
GEMMA4_NAMES = PER_LAYER_NAMES | {"layer_output_scale.weight": "layer_scalar"}
GEMMA3N_NAMES = PER_LAYER_NAMES | {
    "altup_correct_coef": "altup.correction_coefs",
    "altup_correct_scale.weight": "altup.correct_output_scale",
    "altup_predict_coef": "altup.prediction_coefs",
    "altup_router": "altup.modality_router",
    "altup_router_norm": "altup.router_norm",
    "laurel_l": "laurel.linear_left",
    "laurel_r": "laurel.linear_right",
    "laurel_post_norm": "laurel.post_laurel_norm",
}
GEMMA3N_STACKED = {
    "altup_proj": "model.altup_projections",
    "altup_unembd_proj": "model.altup_unembed_projections",
}
PER_LAYER_GLOBAL_NAMES = {
    "per_layer_token_embd": "model.embed_tokens_per_layer",
    "per_layer_model_proj": "model.per_layer_model_projection",
    "per_layer_proj_norm": "model.per_layer_projection_norm",
}
# The divisor of frequencies that llama.cpp stores for dimensions that are not rotated.
_UNROTATED = 1e30


def extend_gemma3n(keys: ArchitectureKeys, config: Config) -> None:
    """The keys of Gemma3nTextConfig.

    Raises:
        DamagedCheckpoint: a key is missing or has a wrong type.
    """
    layers, tensors = config["num_hidden_layers"], keys.file.tensors
    sliding = keys.flags("attention.sliding_window_pattern", layers)
    cutoffs = keys.numbers("activation_sparsity_scale", layers)
    del config["hidden_act"]
    config |= {
        "hidden_activation": "gelu_pytorch_tanh",
        "layer_types": _layer_types(sliding),
        "sliding_window": keys.integer("attention.sliding_window"),
        "num_kv_shared_layers": keys.integer("attention.shared_kv_layers"),
        "rope_local_base_freq": keys.number("rope.freq_base_swa", 10_000.0),
        "hidden_size_per_layer_input": keys.integer("embedding_length_per_layer_input"),
        "altup_num_inputs": keys.integer("altup.num_inputs"),
        "altup_active_idx": keys.integer("altup.active_idx"),
        # Stored is the quantile of a normal distribution, to float32.
        "activation_sparsity_pattern": [round(NormalDist().cdf(c), 6) for c in cutoffs],
    }
    _table_and_cap(keys, config)
    laurel = tensors.get("blk.0.laurel_l.weight")
    if laurel is not None:
        config["laurel_rank"] = laurel.shape[0]


def extend_gemma4(keys: ArchitectureKeys, config: Config) -> None:
    """The keys of Gemma4TextConfig.

    Raises:
        UnsupportedModel: MLPs of unequal width that `use_double_wide_mlp` does not explain, or
            rotary factors that are not those of a proportional rotation.
        DamagedCheckpoint: a key is missing or has a wrong type.
    """
    layers = config["num_hidden_layers"]
    sliding = keys.flags("attention.sliding_window_pattern", layers)
    shared = keys.integer("attention.shared_kv_layers", 0)
    heads = keys.counts("attention.head_count_kv", layers)
    global_head_dim = config["head_dim"]
    own = range(max(layers - shared, 0))
    tensors = keys.file.tensors
    del config["hidden_act"], config["rope_theta"]
    config |= {
        "hidden_activation": "gelu_pytorch_tanh",
        "layer_types": _layer_types(sliding),
        "sliding_window": keys.integer("attention.sliding_window"),
        "num_kv_shared_layers": shared,
        "head_dim": keys.integer("attention.key_length_swa"),
        "global_head_dim": global_head_dim,
        "num_key_value_heads": _first(heads, sliding, True),
        "num_global_key_value_heads": _first(heads, sliding, False),
        "attention_k_eq_v": any(
            not sliding[i] and f"blk.{i}.attn_v.weight" not in tensors for i in own
        ),
        "use_double_wide_mlp": _double_wide(keys, layers, shared),
        "hidden_size_per_layer_input": keys.integer("embedding_length_per_layer_input", 0),
        "rope_parameters": {
            "full_attention": {
                "rope_type": "proportional",
                "rope_theta": keys.number("rope.freq_base", 1_000_000.0),
                "partial_rotary_factor": _rotated(keys, global_head_dim),
            },
            "sliding_attention": {
                "rope_type": "default",
                "rope_theta": keys.number("rope.freq_base_swa", 10_000.0),
            },
        },
    }
    _table_and_cap(keys, config)
    local = keys.integer("rope.dimension_count_swa", config["head_dim"])
    if local != config["head_dim"] or keys.text("rope.scaling.type", "none") != "none":
        raise UnsupportedModel(
            "The rotation of this Gemma 4 is not supported as a GGUF file.",
            why=f"{keys.file.path} has another rotation than the published models.",
            hint="Use the safetensors checkpoint of the same model.",
        )


def _layer_types(sliding: list[bool]) -> list[str]:
    return ["sliding_attention" if s else "full_attention" for s in sliding]


def _table_and_cap(keys: ArchitectureKeys, config: Config) -> None:
    """Rows of the table of embeddings for each layer, and the cap of logits."""
    table = keys.file.tensors.get("per_layer_token_embd.weight")
    if table is not None:
        config["vocab_size_per_layer_input"] = table.shape[0]
    cap = "final_logit_softcapping"
    if keys.has(cap):  # without it the family's default, which is llama.cpp's for Gemma 3n
        config[cap] = keys.number(cap)


def _first(heads: list[int], sliding: list[bool], wanted: bool) -> int:
    """The key/value heads of the first layer of a type, or of the first layer at all."""
    return next((count for count, is_sliding in zip(heads, sliding, strict=True)
                 if is_sliding is wanted), heads[0])  # fmt: skip


def _double_wide(keys: ArchitectureKeys, layers: int, shared: int) -> bool:
    """Whether the layers that share a cache have MLPs of twice the width of the others."""
    widths = keys.counts("feed_forward_length", layers)
    if len(set(widths)) == 1:
        return False
    first = layers - shared
    if widths != [widths[0]] * first + [2 * widths[0]] * shared:
        raise UnsupportedModel(
            f"{keys.prefix}.feed_forward_length differs between layers.",
            why=f"{keys.file.path} has {widths}.",
        )
    return True


def _rotated(keys: ArchitectureKeys, head_dim: int) -> float:
    """Which part of a global head is rotated, from the divisors of its frequencies."""
    tensor, half = keys.file.tensors.get("rope_freqs.weight"), head_dim // 2
    if tensor is None:
        return 1.0
    stored = tensor.rows(0, tensor.shape[0])
    rotated = int(np.count_nonzero(stored == 1))
    expected = [1.0] * rotated + [_UNROTATED] * (half - rotated)
    if len(stored) != half or not rotated or not np.allclose(stored, expected, rtol=1e-4):
        raise UnsupportedModel(
            "The rotary factors of this GGUF file are not those of Gemma 4.",
            why=f"Tensor rope_freqs.weight of {keys.file.path} does not say for each dimension "
            "of a global head whether it is rotated.",
            hint="Use the safetensors checkpoint of the same model.",
        )
    return rotated / half
