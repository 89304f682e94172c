"""Tiny seeded LoRA adapters of the tiny checkpoints, in the files that PEFT writes."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiny.checkpoint import write_safetensors
from tiny.models import MODELS
from tiny.shapes import tensor_shapes

RANK, ALPHA = 4, 6.0
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class TinyAdapter:
    """One tiny adapter.

    Attributes:
        name: key in ADAPTERS.
        base: key in MODELS.
        targets: last parts of the names of modules with LoRA.
        config: keys of adapter_config.json besides the ordinary ones.
        ranks: rank of modules (by the end of their names) that have one of their own.
        whole: base tensors that the adapter stores in full, under their names there.
        dtype: how tensors are stored: `BF16`, `F16` or `F32`.
    """

    name: str
    base: str
    targets: tuple[str, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    ranks: Mapping[str, int] = field(default_factory=dict)
    whole: Mapping[str, str] = field(default_factory=dict)
    dtype: str = "F32"


_ALL = (
    TinyAdapter("attention", "llama-gqa-tied", ATTENTION, dtype="BF16"),
    TinyAdapter(
        "patterns-rslora",
        "qwen3-gqa-tied",
        (*ATTENTION, *MLP),
        {
            "use_rslora": True,
            "rank_pattern": {"k_proj": 2, r"layers\.1\.mlp\.down_proj": 8},
            "alpha_pattern": {"^model.layers.0.self_attn.q_proj": 16, "up_proj": 3},
        },
        ranks={"k_proj": 2, "1.mlp.down_proj": 8},
    ),
    TinyAdapter("dora", "llama-bias-untied-linear", (*ATTENTION, *MLP), {"use_dora": True}),
    TinyAdapter(
        "biases",
        "llama-bias-untied-linear",
        ("q_proj", "o_proj"),
        {"bias": "all"},
        whole={
            f"model.layers.{layer}.{module}.bias": f"model.layers.{layer}.{stored}.bias"
            for layer in range(2)
            for module, stored in {
                "self_attn.q_proj": "self_attn.q_proj.base_layer",
                "self_attn.o_proj": "self_attn.o_proj.base_layer",
                "self_attn.v_proj": "self_attn.v_proj",
                "mlp.up_proj": "mlp.up_proj",
            }.items()
        },
    ),
    TinyAdapter(
        "lora-bias", "llama-bias-untied-linear", ("v_proj", "up_proj"), {"lora_bias": True}
    ),
    TinyAdapter("embedding-untied", "qwen2-sliding-untied", ("embed_tokens", "lm_head", "q_proj")),
    TinyAdapter("embedding-tied", "gemma3_text-pattern-linear", ("embed_tokens", "v_proj")),
    TinyAdapter("head-tied", "qwen3-gqa-tied", ("lm_head", "o_proj")),
    TinyAdapter(
        "saved-tied",
        "llama-gqa-tied",
        ("q_proj",),
        {"modules_to_save": ["embed_tokens", "lm_head", "input_layernorm"]},
        whole={
            name: name
            for name in (
                "model.embed_tokens.weight",
                "lm_head.weight",
                "model.layers.0.input_layernorm.weight",
                "model.layers.1.input_layernorm.weight",
            )
        },
        dtype="F16",
    ),
    TinyAdapter("fused", "phi3-window-untied", ("qkv_proj", "gate_up_proj", "down_proj")),
    # Families whose query and key rows get another order in the graph.
    TinyAdapter("pairs", "ernie4_5-linear-tied", ATTENTION),
    TinyAdapter("pairs-bias", "helium-bias-untied", ("q_proj", "k_proj"), {"lora_bias": True}),
    TinyAdapter("pairs-dora", "glm4-bias-untied", ("q_proj", "k_proj"), {"use_dora": True}),
    TinyAdapter("pairs-partial", "glm-bias-untied", (*ATTENTION, "gate_up_proj")),
    TinyAdapter("pairs-parallel", "cohere2-types-tied", (*ATTENTION, *MLP)),
    TinyAdapter(
        "convolution",
        "lfm2-adjusted-idxs-tied",
        ("q_proj", "k_proj", "in_proj", "out_proj", "w1", "w2"),
    ),
)

ADAPTERS = {adapter.name: adapter for adapter in _ALL}


def write_adapter(adapter: TinyAdapter, folder: Path, base: str | Path) -> Path:
    """Write the adapter into `folder` (made if it is missing) and return it.

    Args:
        base: what adapter_config.json names as the base.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(base),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": ALPHA,
        "lora_dropout": 0.05,
        "modules_to_save": None,
        "r": RANK,
        "rank_pattern": {},
        "alpha_pattern": {},
        "target_modules": list(adapter.targets),
        "use_dora": False,
        "use_rslora": False,
    }
    (folder / "adapter_config.json").write_text(json.dumps({**config, **adapter.config}, indent=2))
    write_safetensors(folder / "adapter_model.safetensors", adapter_tensors(adapter), adapter.dtype)
    return folder


def adapter_tensors(adapter: TinyAdapter) -> dict[str, NDArray[np.float64]]:
    """The adapter's tensors under the names that PEFT stores."""
    base = MODELS[adapter.base]
    shapes = tensor_shapes(base)
    shapes.setdefault("lm_head.weight", shapes[f"{base.prefix}embed_tokens.weight"])
    tensors: dict[str, NDArray[np.float64]] = {}

    def add(name: str, shape: tuple[int, ...], size: float, center: float = 0.0) -> None:
        random = np.random.RandomState(zlib.crc32(f"{adapter.name}/{name}".encode()))
        values = center + size * (2.0 * random.random_sample(shape) - 1.0)
        tensors[f"base_model.model.{name}"] = values

    for name, shape in shapes.items():
        module = name.removesuffix(".weight")
        if module == name or not module.endswith(adapter.targets):
            continue
        rank = next((r for end, r in adapter.ranks.items() if module.endswith(end)), RANK)
        out, width = shape
        if module.endswith("embed_tokens"):
            add(f"{module}.lora_embedding_A", (rank, out), 0.4)
            add(f"{module}.lora_embedding_B", (width, rank), 0.2)
            continue
        add(f"{module}.lora_A.weight", (rank, width), 0.3)
        add(f"{module}.lora_B.weight", (out, rank), 0.2)
        if adapter.config.get("lora_bias"):
            add(f"{module}.lora_B.bias", (out,), 0.2)
        if adapter.config.get("use_dora"):
            add(f"{module}.lora_magnitude_vector", (out,), 0.3, center=1.0)
    for name, stored in adapter.whole.items():
        if name in tensors:
            continue
        norm = name.endswith("norm.weight")
        add(stored, shapes[name], 0.5, center=1.0 if norm else 0.0)
    return tensors
