"""An unknown family is told which known one is nearest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from litertlm.errors import UnsupportedModel
from litertlm.families import FAMILIES, check_model_type
from litertlm.families.nearest import nearest
from litertlm.families.reference_keys import KEYS
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import plan_conversion
from tiny import MODELS, change_config, tensor_shapes, write_checkpoint

LLAMA = MODELS["llama-gqa-tied"]
NAMES = list(tensor_shapes(LLAMA))


def unknown(**more: Any) -> dict[str, Any]:
    return {**LLAMA.config, "model_type": "novel", **more}


def test_every_family_has_keys() -> None:
    assert KEYS.keys() == FAMILIES.keys()


@pytest.mark.parametrize(
    "name",
    [
        "llama-gqa-tied",
        "qwen2-bias-tied",
        "gemma3_text-types-softcap",
        "gemma3-vision-renamed",
        "gemma4_text-shared-wide",
        "lfm2-adjusted-idxs-tied",
        "lfm3-gates-window-untied",
    ],
)
def test_the_family_of_a_renamed_checkpoint_has_the_same_tensors(name: str) -> None:
    model = MODELS[name]
    found = nearest({**model.config, "model_type": "novel"}, list(tensor_shapes(model)))
    assert found is not None
    assert found.family == model.text_config["model_type"]
    assert (found.more_tensors, found.fewer_tensors) == ((), ())


def test_keys_and_tensors_that_differ_are_named() -> None:
    names = [*NAMES, "model.layers.0.self_attn.sinks", "model.layers.1.self_attn.sinks"]
    names.remove("model.layers.0.mlp.gate_proj.weight")
    found = nearest(unknown(sink_scale=2.0, dropout_scale=1, attention_dropout=0.5), names)
    assert found is not None
    assert found.more_tensors == (
        "model.layers.0.self_attn.sinks",
        "model.layers.1.self_attn.sinks",
    )
    assert found.fewer_tensors == ("model.layers.0.mlp.gate_proj.weight",)
    assert {"sink_scale", "dropout_scale"} <= set(found.more_keys)
    assert "attention_dropout" not in found.more_keys
    assert "Only the checkpoint has model.layers.0.self_attn.sinks" in str(found)
    assert "sink_scale" in str(found)


def test_layers_beyond_the_first_are_not_needed() -> None:
    names = [*NAMES, *(n.replace("layers.1.", f"layers.{i}.") for n in NAMES for i in (2, 30))]
    found = nearest(unknown(num_hidden_layers=31), names)
    assert found is not None
    assert (found.more_tensors, found.fewer_tensors) == ((), ())


def test_names_of_a_multimodal_checkpoint() -> None:
    config = {"model_type": "novel", "text_config": {**LLAMA.config}, "vision_config": {}}
    names = [name.replace("model.", "model.language_model.", 1) for name in NAMES]
    found = nearest(config, [*names, "vision_tower.patch_embed.weight"])
    assert found is not None
    assert (found.more_tensors, found.fewer_tensors) == ((), ())


def test_without_tensors_the_keys_decide() -> None:
    keys = {**KEYS["granite"], "model_type": "novel", "added": 1}
    found = nearest(keys, None)
    assert found is not None
    assert found.family == "granite"
    assert found.more_tensors is None
    assert "added" in found.more_keys
    assert str(found).startswith("By its config.json, the nearest known family is granite.")


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "mamba"},
        {"model_type": None, "text_config": 3},
        {"model_type": "mamba", "state_size": 16, "conv_kernel": 4, "num_hidden_layers": "x"},
    ],
)
def test_nothing_is_near(config: dict[str, Any]) -> None:
    assert nearest(config, None) is None
    assert nearest(config, ["backbone.layers.0.mixer.A_log"]) is None
    with pytest.raises(UnsupportedModel) as caught:
        check_model_type(config)
    assert "nearest" not in caught.value.hint


def test_names_from_outside_are_escaped() -> None:
    found = nearest(unknown(**{"\x1b[31m": 1}), [*NAMES, "model.\x1b[2J"])
    assert "\x1b" not in str(found)


def test_the_error_of_a_folder_names_the_family(tmp_path: Path) -> None:
    write_checkpoint(LLAMA, tmp_path)
    change_config(tmp_path, {"model_type": "novel"})
    with pytest.raises(UnsupportedModel) as caught:
        plan_conversion(tmp_path, ConvertOptions())
    assert "The nearest known family is" in caught.value.hint
    assert "the tensors have the same names" in caught.value.hint
    assert "docs/adding-a-family.md" in caught.value.hint
