"""Keys of config.json that a family does not read: refused, harmless, or listed with --verbose."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litertlm.errors import UnsupportedModel
from litertlm.families import FAMILIES, identify
from litertlm.families.config_keys import _HARMLESS, _UNUSED, unknown_keys
from litertlm.families.config_reader import ConfigReader
from litertlm.families.reference_keys import KEYS
from litertlm.services.convert import ConvertOptions, convert
from recorder import Recorder
from tiny import MODELS, change_config, write_checkpoint

# Of the keys that transformers' config classes have, these are in no family's graph.
NOT_READ = {"is_encoder_decoder"}
# Families that read `per_layer_config`.
READS_LAYERS = {"gemma4_text", "gemma4_unified_text"}
# Families whose activation is `hidden_activation`.
GEMMA_ACTIVATION = {"gemma2", "gemma3_text", "gemma3n_text", *READS_LAYERS}
# Families with a rotation for each type of layer.
ROPES_BY_TYPE = {"gemma3_text", "gemma3n_text", "lfm3", "olmo3", *READS_LAYERS}
TINY = {model.text_config["model_type"]: dict(model.text_config) for model in MODELS.values()}


@pytest.mark.parametrize("model_type", FAMILIES)
def test_every_key_of_transformers_is_read_or_known_not_to_matter(model_type: str) -> None:
    reader = ConfigReader(TINY[model_type])
    importlib.import_module(f"litertlm.families.{FAMILIES[model_type]}").read_config(reader)
    ignored = _UNUSED.get(model_type, frozenset())
    left = {key for key in KEYS[model_type] if not _HARMLESS.fullmatch(key)} - reader.keys_read
    assert left - ignored == NOT_READ


@pytest.mark.parametrize("model_type", sorted({*FAMILIES} - READS_LAYERS))
@pytest.mark.parametrize(
    ("key", "value"), [("is_encoder_decoder", True), ("per_layer_config", {"0": {"head_dim": 8}})]
)
def test_a_key_that_changes_the_result_is_refused(model_type: str, key: str, value: Any) -> None:
    with pytest.raises(UnsupportedModel) as error:
        identify({**TINY[model_type], key: value})
    assert f"config.json: {key} is {value!r}; only" in error.value.why


def test_a_key_that_no_family_reads_is_refused_unless_it_has_the_default() -> None:
    reader = ConfigReader({"attention_bias": True}, "text_config.")
    with pytest.raises(UnsupportedModel, match=r"text_config\.attention_bias is True; only False"):
        unknown_keys(reader, "llama")
    assert unknown_keys(ConfigReader({"attention_bias": False}), "llama") == ()


@pytest.mark.parametrize("model_type", ["llama", "granite", "olmo2"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sliding_window", 4),
        ("attention_chunk_size", 4),
        ("layer_types", ["sliding_attention", "full_attention"]),
        ("layer_types", ["full_attention"]),
    ],
)
def test_windows_are_refused_where_the_family_has_none(
    model_type: str, key: str, value: Any
) -> None:
    """transformers' cache would drop the tokens before the window."""
    with pytest.raises(UnsupportedModel) as error:
        identify({**TINY[model_type], "num_hidden_layers": 2, key: value})
    assert f"config.json: {key} is {value!r}; only None" in error.value.why


def test_windows_without_an_effect_are_not_refused() -> None:
    config = {**TINY["llama"], "num_hidden_layers": 2, "max_position_embeddings": 64}
    config |= {"sliding_window": 64, "layer_types": ["full_attention"] * 2}
    assert identify(config).unknown_keys == ()


@pytest.mark.parametrize("model_type", ["gemma2", "gemma3_text"])
def test_layers_with_windows_need_a_window(model_type: str) -> None:
    config = {**TINY[model_type], "layer_types": None, "sliding_window": None}
    with pytest.raises(
        UnsupportedModel,
        match=r"config\.json: sliding_window (leaves sliding_attention|is missing)",
    ):
        identify(config)


@pytest.mark.parametrize(
    ("model_type", "key"),
    [(m, k) for m in FAMILIES for k in ("hidden_activation", "hidden_act") if k in KEYS[m]],
)
def test_an_activation_that_is_null_is_refused(model_type: str, key: str) -> None:
    with pytest.raises(UnsupportedModel, match=f"{key} is null"):
        identify({**TINY[model_type], key: None})


def test_logits_of_a_multimodal_gemma_are_not_capped() -> None:
    """As in transformers' Gemma3ForConditionalGeneration."""
    config = dict(MODELS["gemma3-vision"].config)
    config["text_config"] = {**config["text_config"], "final_logit_softcapping": 5.0}
    assert identify(config).config.final_logit_softcapping is None  # type: ignore[attr-defined]


def test_harmless_keys_are_not_reported() -> None:
    harmless = {
        "use_cache": False,
        "initializer_range": 0.5,
        "attention_dropout": 0.9,
        "output_attentions": True,
        "pretraining_tp": 4,
        "transformers_version": "4",
        "dtype": "float16",
        "id2label": {"0": "a"},
    }
    assert identify({**TINY["llama"], **harmless}).unknown_keys == ()


def test_unknown_keys_are_listed_with_verbose(tmp_path: Path) -> None:
    folder = write_checkpoint(MODELS["llama-gqa-tied"], tmp_path / "model", chat_template=None)
    change_config(folder, {"my_own_key": 1, "use_mrope": False})
    progress = Recorder()
    convert(folder, tmp_path / "m.litertlm", ConvertOptions(), progress=progress)
    line = "(detail) config.json has keys that are not used: my_own_key, use_mrope"
    assert line in progress.lines


def test_rope_scaling_comes_before_rope_parameters() -> None:
    both = {
        "rope_scaling": {"rope_type": "linear", "factor": 2.0},
        "rope_parameters": {"rope_type": "linear", "factor": 8.0, "rope_theta": 500.0},
    }
    family, plain = (
        identify({**TINY["qwen2"], "rope_theta": 777.0, **changes})
        for changes in (both, {"rope_scaling": both["rope_scaling"], "rope_parameters": None})
    )
    assert np.array_equal(family.config.rope.inv_freq, plain.config.rope.inv_freq)  # type: ignore[attr-defined]


@pytest.mark.parametrize("model_type", sorted({*FAMILIES} - ROPES_BY_TYPE))
@pytest.mark.parametrize("key", ["rope_parameters", "rope_scaling"])
def test_ropes_by_type_of_layer_are_refused_where_there_is_one(model_type: str, key: str) -> None:
    ropes = {kind: {"rope_theta": 9.0} for kind in ("full_attention", "sliding_attention")}
    config = {**TINY[model_type], "rope_scaling": None, key: ropes}
    with pytest.raises(UnsupportedModel) as error:
        identify(config)
    assert f"{key}.full_attention is an object" in error.value.why


def test_bases_of_gemma3_ropes_without_their_own() -> None:
    """Those of the layers with windows: not `rope_theta`, which is for the others."""
    ropes = {kind: {"rope_type": "default"} for kind in ("full_attention", "sliding_attention")}
    config = {**TINY["gemma3_text"], "rope_scaling": None, "rope_theta": 777.0}
    without = identify({**config, "rope_parameters": None, "rope_local_base_freq": 10000.0})
    for value in (10000.0, None):
        changes = {"rope_parameters": json.loads(json.dumps(ropes)), "rope_local_base_freq": value}
        family = identify({**config, **changes})
        for name in ("rope", "local_rope"):
            ours, theirs = (getattr(f.config, name).inv_freq for f in (family, without))
            assert np.array_equal(ours, theirs), name


def test_a_trained_length_beside_ropes_by_type_of_layer_is_not_read() -> None:
    """As in transformers: those have their own."""
    config = dict(MODELS["olmo3-yarn-pattern"].config)
    rope = identify(config).config.rope  # type: ignore[attr-defined]
    changed = identify({**config, "original_max_position_embeddings": 8}).config.rope  # type: ignore[attr-defined]
    assert (rope.inv_freq == changed.inv_freq).all()
