"""What a Gemma 3n config means beyond its tiny models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from litertlm.checkpoint.loader import open_checkpoint
from litertlm.errors import UnsupportedModel
from litertlm.families import Signature, identify
from litertlm.graph.printer import dump
from tiny import MODELS, write_checkpoint

TINY = MODELS["gemma3n_text-sparse-shared"]
DECODE = Signature("decode", 1, 8, logits=True)


def config(**changes: Any) -> Any:
    return identify({**TINY.config, **changes}).config


def test_the_first_ten_layers_of_a_deep_model_are_sparse_by_default() -> None:
    absent = {"activation_sparsity_pattern": None, "layer_types": None, "intermediate_size": 96}
    deep = config(num_hidden_layers=12, num_kv_shared_layers=0, **absent)
    assert deep.sparsity == (pytest.approx(1.6448536),) * 10 + (None, None)
    assert [w is None for w in deep.windows] == [i % 5 == 4 for i in range(12)]
    assert config(num_hidden_layers=10, num_kv_shared_layers=0, **absent).sparsity == (None,) * 10


def test_bases_of_the_rotations_by_default() -> None:
    absent = dict.fromkeys(("rope_theta", "rope_local_base_freq", "rope_scaling"))
    read = config(**absent)
    assert read.rope.inv_freq[1] == pytest.approx(1e6 ** (-1 / 8))
    assert read.local_rope.inv_freq[1] == pytest.approx(1e4 ** (-1 / 8))


@pytest.mark.parametrize("prefix", ["model.language_model.", "language_model.model."])
def test_the_text_part_of_a_multimodal_checkpoint(prefix: str, tmp_path: Path) -> None:
    alone = open_checkpoint(write_checkpoint(TINY, tmp_path))
    tensors = {prefix + n.removeprefix("model."): t for n, t in alone.tensors.items()}
    norm = alone.tensors["model.norm.weight"]
    tensors |= {f"model.{part}.x": norm for part in ("vision_tower", "audio_tower", "embed_audio")}
    whole = {"model_type": "gemma3n", "text_config": alone.config}
    part = replace(alone, config=whole, tensors=tensors)
    texts = [dump(identify(c.config).build(c, [DECODE])) for c in (alone, part)]
    assert texts[0] == texts[1]


def test_a_single_stream_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="altup_num_inputs"):
        config(altup_num_inputs=1)
