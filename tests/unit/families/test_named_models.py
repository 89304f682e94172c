"""The config.json of well-known models as the Hub has it: each is understood, in full size.

named_models.json holds the configs, the numbers of parameters on the models' pages and the longest
context (beyond that of Phi-4 mini its rotations change, which a cache cannot follow). The tensors
are made up, of the shapes that transformers' modules have, and no weight is read. (Made up are the
rotation factors of Phi-4 mini, too.) The configs are complete, but for what Gemma 4's say of
images and audio, and those of LFM2.5 and Granite 4.0, which have only the keys that other projects
quote from the Hub. Parameters are those of the language model, without the keys and values that
checkpoints of Gemma 4 store for layers that share a cache.
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
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import signatures
from tiny import TinyModel, tensor_shapes

NAMED: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "named_models.json").read_text()
)


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


@pytest.mark.parametrize("name", NAMED)
def test_named_model_is_understood(name: str) -> None:
    named = NAMED[name]
    checkpoint = headers_of(named["config"])
    family = identify(checkpoint.config)
    assert family.max_context == named["context"]
    model = family.build(checkpoint, signatures(ConvertOptions()))
    verify(model)
    stored = {name.removeprefix("language_model.") for name in checkpoint.tensors}
    # The name of a part ends with its rows, in brackets.
    sizes = {
        c.name: math.prod(c.shape) for c in model.constants() if c.name.partition("[")[0] in stored
    }
    assert sum(sizes.values()) == named["parameters"]
