"""The config.json of well-known models as the Hub has it: each is understood, in full size.

named_models.json holds the configs; the tensors are made up, of the shapes that transformers'
modules have, and no weight is read. (Made up are the rotation factors of Phi-4 mini, too.) The
numbers of parameters are those on the models' pages.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from litertlm.checkpoint import Checkpoint, Tokenizer
from litertlm.families import identify
from litertlm.graph.verify import verify
from litertlm.services.convert.conversion_options import ConvertOptions
from litertlm.services.convert.convert import signatures
from tiny import TinyModel, tensor_shapes

CONFIGS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "named_models.json").read_text()
)
# Name: parameters of the language model, and the longest context.
NAMED = {
    "Qwen/Qwen3-0.6B": (596_049_920, 40_960),
    "Qwen/Qwen3-1.7B": (1_720_574_976, 40_960),
    "Qwen/Qwen3-4B": (4_022_468_096, 40_960),
    "google/gemma-3-270m-it": (268_098_176, 32_768),
    "google/gemma-3-1b-it": (999_885_952, 32_768),
    "google/gemma-3-4b-it": (3_880_263_168, 131_072),
    "meta-llama/Llama-3.2-1B-Instruct": (1_235_814_400, 131_072),
    "Qwen/Qwen2.5-0.5B-Instruct": (494_032_768, 32_768),
    "HuggingFaceTB/SmolLM3-3B": (3_075_098_624, 65_536),
    "allenai/OLMo-2-0425-1B-Instruct": (1_484_916_736, 4_096),
    "ibm-granite/granite-3.3-2b-instruct": (2_533_539_840, 131_072),
    # Beyond this many tokens its rotations change, which a cache cannot follow.
    "microsoft/Phi-4-mini-instruct": (3_836_021_760, 4_096),
    "microsoft/Phi-3-mini-4k-instruct": (3_821_079_552, 4_096),
    "mistralai/Mistral-7B-Instruct-v0.3": (7_248_023_552, 32_768),
    "google/gemma-2-2b-it": (2_614_341_888, 8_192),
    "HuggingFaceTB/SmolLM2-135M-Instruct": (134_515_008, 8_192),
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": (1_777_088_000, 131_072),
}


@dataclass(frozen=True)
class NoWeights:
    """A stored tensor of which only the header is there."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "BF16"

    @property
    def nbytes(self) -> int:
        return 2 * math.prod(self.shape)

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        raise AssertionError(f"rows {start}:{stop} of {self.name} were read")


def headers_of(config: dict[str, Any]) -> Checkpoint:
    """The checkpoint of a config, without weights."""
    prefix, full = "model.", config
    if "text_config" in config:
        prefix = "language_model.model."
        # Gemma3TextConfig's own, which the published config leaves out.
        implied = {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256}
        full = {
            **config,
            "text_config": {**implied, "vocab_size": 262_208, **config["text_config"]},
        }
    shapes = tensor_shapes(TinyModel("named", full, prefix=prefix))
    tensors = {name: NoWeights(name, shape) for name, shape in shapes.items()}
    tokenizer = Tokenizer(None, None, {}, None, False, None, None)
    return Checkpoint(Path("named"), "safetensors", config, {}, tensors, tokenizer)


def test_every_config_is_checked() -> None:
    assert set(CONFIGS) == set(NAMED)


@pytest.mark.parametrize("name", NAMED)
def test_named_model_is_understood(name: str) -> None:
    parameters, context = NAMED[name]
    checkpoint = headers_of(CONFIGS[name])
    family = identify(checkpoint.config)
    assert family.max_context == context
    model = family.build(checkpoint, signatures(ConvertOptions()))
    verify(model)
    stored = {name.removeprefix("language_model.") for name in checkpoint.tensors}
    sizes = {c.name: math.prod(c.shape) for c in model.constants() if c.name in stored}
    assert sum(sizes.values()) == parameters
