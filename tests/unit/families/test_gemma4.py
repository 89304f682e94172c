"""What a Gemma 4 config means beyond its tiny models."""

from __future__ import annotations

from typing import Any

import pytest

from litertlm.errors import UnsupportedModel
from litertlm.families import identify
from litertlm.graph.state import KVCache
from tiny import MODELS

FULL, SLIDING = "full_attention", "sliding_attention"
TINY = dict(MODELS["gemma4_text-shared-wide"].config)


def config(**changes: Any) -> Any:
    return identify({**TINY, **changes}).config


def test_layers_share_the_last_cache_of_their_type() -> None:
    types = [FULL, SLIDING, SLIDING, FULL, SLIDING, FULL, SLIDING, FULL]
    read = config(num_hidden_layers=8, layer_types=types, num_kv_shared_layers=4)
    assert read.caches == (0, 1, 2, 3, 2, 3, 2, 3)
    assert [len(states) for states in read.states] == [1, 1, 1, 1, 0, 0, 0, 0]


def test_the_last_layer_always_has_full_attention() -> None:
    read = config(num_hidden_layers=3, layer_types=[SLIDING, FULL, SLIDING], num_kv_shared_layers=0)
    assert read.windows == (12, None, None)
    assert read.states[2] == (KVCache(1, 32),)
    pattern = config(num_hidden_layers=8, layer_types=None, num_kv_shared_layers=0)
    assert [w is None for w in pattern.windows] == [False] * 5 + [True, False, True]


def test_global_key_heads_need_values_that_are_keys() -> None:
    keys = {"num_key_value_heads": 2, "num_global_key_value_heads": 1}
    assert config(**keys).heads(2) == (2, 32)
    assert config(**keys, attention_k_eq_v=True).heads(2) == (1, 32)
    with pytest.raises(UnsupportedModel, match=r"num_key_value_heads \(3\) does not divide"):
        config(attention_k_eq_v=True, num_global_key_value_heads=3)


def test_sizes_of_single_layers_replace_those_of_global_layers() -> None:
    full = {"head_dim": 24}
    read = config(per_layer_config={"2": full, "4": {**full, "num_key_value_heads": 1}})
    assert [read.heads(i) for i in range(5)] == [(1, 16), (1, 16), (1, 24), (1, 16), (1, 24)]
    with pytest.raises(UnsupportedModel, match="different heads in layers of type full_attention"):
        config(per_layer_config={"2": full})
    with pytest.raises(UnsupportedModel, match=r"per_layer_config\.5 is not one of 5 layers"):
        config(per_layer_config={"5": full})


def test_defaults_of_the_rotations() -> None:
    read = config(rope_parameters=None)
    assert list(read.rope.inv_freq[:4]) == pytest.approx([1e6 ** (-i / 16) for i in range(4)])
    assert len(read.rope.inv_freq) == 16
    assert not read.rope.inv_freq[4:].any()
    assert read.local_rope.inv_freq[-1] == pytest.approx(10000.0 ** (-7 / 8))


def test_a_multimodal_gemma4_caps_its_logits() -> None:
    whole = dict(MODELS["gemma4-saved-again"].config)
    whole["text_config"] = {**whole["text_config"], "final_logit_softcapping": 5.0}
    family = identify(whole)
    assert family.config.final_logit_softcapping == 5.0  # type: ignore[attr-defined]
