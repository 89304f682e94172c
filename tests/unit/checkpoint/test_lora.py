"""Adapters: rows of merged tensors, and errors that name the key or the tensor."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litertlm.checkpoint import Checkpoint, open_checkpoint
from litertlm.checkpoint.lora_config import read_lora_config
from litertlm.errors import DamagedCheckpoint, LiteRtLmError, ModelNotFound, UnsupportedModel
from tiny import MODELS, tokenizer_config, tokenizer_json, write_checkpoint, write_safetensors
from tiny.adapter import ADAPTERS, TinyAdapter, adapter_tensors, write_adapter
from tiny.other_head import write_with_head
from tiny.tokenizer import VOCAB_SIZE

CONFIG = {"peft_type": "LORA", "r": 4, "lora_alpha": 8}
Q_PROJ = "model.layers.0.self_attn.q_proj"


def opened(adapter: TinyAdapter, folder: Path) -> Checkpoint:
    base = write_checkpoint(MODELS[adapter.base], folder / "base")
    return open_checkpoint(write_adapter(adapter, folder / "adapter", base), base=base)


def with_tensors(
    folder: Path, name: str, change: Callable[[dict[str, np.ndarray]], object]
) -> tuple[Path, Path]:
    """Base and adapter, whose tensors `change` has changed."""
    adapter = ADAPTERS[name]
    base = write_checkpoint(MODELS[adapter.base], folder / "base")
    path = write_adapter(adapter, folder / "adapter", base)
    tensors = dict(adapter_tensors(adapter))
    change(tensors)
    write_safetensors(path / "adapter_model.safetensors", tensors, "F32")
    return base, path


@pytest.fixture(scope="module")
def attention(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, Checkpoint]:
    """A base and what it is with the adapter `patterns-rslora`."""
    folder = tmp_path_factory.mktemp("lora")
    merged = opened(ADAPTERS["patterns-rslora"], folder)
    return open_checkpoint(folder / "base"), merged


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_rows_are_the_plain_definition(attention, data) -> None:
    base, merged = attention
    adapter = ADAPTERS["patterns-rslora"]
    module, alpha, rank = data.draw(
        st.sampled_from(
            [
                ("model.layers.0.self_attn.q_proj", 16, 4),
                ("model.layers.1.self_attn.q_proj", 6, 4),
                ("model.layers.1.self_attn.k_proj", 6, 2),
                ("model.layers.0.mlp.up_proj", 3, 4),
                ("model.layers.1.mlp.down_proj", 6, 8),
            ]
        )
    )
    stored = adapter_tensors(adapter)
    a, b = (stored[f"base_model.model.{module}.lora_{part}.weight"] for part in "AB")
    weight = base.tensors[f"{module}.weight"]
    start = data.draw(st.integers(0, weight.shape[0]))
    stop = data.draw(st.integers(start, weight.shape[0]))
    want = weight.rows(start, stop) + alpha / np.sqrt(rank) * (b[start:stop] @ a)
    have = merged.tensors[f"{module}.weight"].rows(start, stop)
    assert have.dtype == np.float32
    np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-5)


def test_rows_of_an_embedding(tmp_path: Path) -> None:
    merged = opened(ADAPTERS["embedding-untied"], tmp_path)
    table = merged.tensors["model.embed_tokens.weight"]
    complete = table.rows(0, VOCAB_SIZE)
    pieces = [table.rows(start, min(start + 7, VOCAB_SIZE)) for start in range(0, VOCAB_SIZE, 7)]
    np.testing.assert_allclose(np.concatenate(pieces), complete, rtol=1e-6, atol=1e-6)


def test_tensors_that_the_adapter_leaves_alone_are_the_base_s(attention) -> None:
    base, merged = attention
    assert list(merged.tensors) == list(base.tensors)
    name = "model.layers.0.input_layernorm.weight"
    assert np.array_equal(merged.tensors[name].rows(0, 64), base.tensors[name].rows(0, 64))
    assert merged.config == base.config


@pytest.mark.parametrize(
    ("name", "tied"),
    [("attention", True), ("head-tied", False), ("saved-tied", False), ("embedding-tied", False)],
)
def test_head_is_untied_where_the_adapter_parts_it(name: str, tied: bool, tmp_path: Path) -> None:
    merged = opened(ADAPTERS[name], tmp_path)
    assert merged.config.get("tie_word_embeddings", True) is tied
    assert ("lm_head.weight" in merged.tensors) is not tied


def test_weights_stay_tied_when_the_adapter_was_trained_so(tmp_path: Path) -> None:
    adapter = ADAPTERS["embedding-tied"]
    config = {**adapter.config, "ensure_weight_tying": True}
    merged = opened(replace(adapter, config=config), tmp_path)
    assert "lm_head.weight" not in merged.tensors
    assert merged.config["tie_word_embeddings"] is True


def test_names_of_multimodal_models(tmp_path: Path) -> None:
    model = MODELS["gemma3-vision"]
    base = write_checkpoint(model, tmp_path / "base")
    found = []
    for i, prefix in enumerate(("language_model.model.", "model.language_model.", "model.")):
        adapter = tmp_path / str(i)
        write_adapter(replace(ADAPTERS["attention"], targets=()), adapter, base)
        module = f"base_model.model.{prefix}layers.0.self_attn.q_proj"
        weight = f"{model.prefix}layers.0.self_attn.q_proj.weight"
        out, width = open_checkpoint(base).tensors[weight].shape
        tower = "base_model.model.model.vision_tower.encoder.layers.0.self_attn.q_proj"
        write_safetensors(
            adapter / "adapter_model.safetensors",
            {
                f"{module}.lora_A.default.weight": np.full((4, width), 0.5),
                f"{module}.lora_B.default.weight": np.full((out, 4), 0.25),
                f"{tower}.lora_A.weight": np.ones((4, 16)),
                f"{tower}.lora_B.weight": np.ones((16, 4)),
            },
            "F32",
        )
        before = open_checkpoint(base).tensors[weight].rows(0, out)
        after = open_checkpoint(adapter, base=base).tensors[weight].rows(0, out)
        found.append(after - before)
    for difference in found:
        np.testing.assert_allclose(difference, 0.5 * 0.25 * 4 * 6 / 4, rtol=1e-5)


def test_more_tokens(tmp_path: Path) -> None:
    def grow(tensors: dict[str, np.ndarray]) -> None:
        for name in ("lm_head", "model.embed_tokens"):
            key = f"base_model.model.{name}.weight"
            tensors[key] = np.concatenate([tensors[key], np.ones((3, tensors[key].shape[1]))])
            # PEFT stores what the copy was made from as well when the vocabulary has grown.
            tensors[f"base_model.model.{name}.original_module.weight"] = np.zeros((323, 64))

    base, adapter = with_tensors(tmp_path, "saved-tied", grow)
    tokenizer = json.loads(tokenizer_json(adds_bos=False))
    tokenizer["added_tokens"].append(
        {**tokenizer["added_tokens"][-1], "id": VOCAB_SIZE, "content": "<new>"}
    )
    (adapter / "tokenizer.json").write_text(json.dumps(tokenizer))
    settings = tokenizer_config(adds_bos=False, chat_template="{{ messages }}")
    (adapter / "tokenizer_config.json").write_text(json.dumps({**settings, "eos_token": "<new>"}))
    merged = open_checkpoint(adapter, base=base)
    assert merged.config["vocab_size"] == VOCAB_SIZE + 3
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        assert np.array_equal(merged.tensors[name].rows(VOCAB_SIZE, 323), np.ones((3, 64)))
    assert merged.tokenizer.eos_token_id == VOCAB_SIZE
    assert merged.tokenizer.chat_template == "{{ messages }}"


def test_more_tokens_without_their_embeddings(tmp_path: Path) -> None:
    base, adapter = with_tensors(tmp_path, "attention", lambda tensors: None)
    tokenizer = json.loads(tokenizer_json(adds_bos=False))
    tokenizer["added_tokens"].append(
        {**tokenizer["added_tokens"][-1], "id": VOCAB_SIZE, "content": "<new>"}
    )
    (adapter / "tokenizer.json").write_text(json.dumps(tokenizer))
    settings = tokenizer_config(adds_bos=False, chat_template="<new>{{ messages }}")
    (adapter / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(DamagedCheckpoint, match="'<new>' has the id 320"):
        open_checkpoint(adapter, base=base)


def test_only_one_of_embedding_and_head_resized(tmp_path: Path) -> None:
    def grow(tensors: dict[str, np.ndarray]) -> None:
        key = "base_model.model.model.embed_tokens.weight"
        tensors[key] = np.concatenate([tensors[key], np.ones((3, tensors[key].shape[1]))])

    base, adapter = with_tensors(tmp_path, "saved-tied", grow)
    with pytest.raises(DamagedCheckpoint) as caught:
        open_checkpoint(adapter, base=base)
    assert caught.value.why == "The embedding has 323 tokens; the head has 320."


def test_template_of_the_adapter_alone(tmp_path: Path) -> None:
    base, adapter = with_tensors(tmp_path, "attention", lambda tensors: None)
    (adapter / "chat_template.jinja").write_text("mine")
    merged = open_checkpoint(adapter, base=base)
    assert merged.tokenizer.chat_template == "mine"
    assert merged.tokenizer.json == open_checkpoint(base).tokenizer.json
    (adapter / "chat_template.jinja").unlink()
    want = open_checkpoint(base).tokenizer
    assert open_checkpoint(adapter, base=base).tokenizer == want


MISMATCHES: list[tuple[str, Callable[[dict[str, np.ndarray]], object], str]] = [
    (
        "attention",
        lambda t: t.update({"base_model.model.model.layers.9.mlp.gate_proj.lora_A.weight": t_()}),
        "no module for base_model.model.model.layers.9.mlp.gate_proj.lora_A.weight",
    ),
    (
        "attention",
        lambda t: t.update({"base_model.model.score.weight": t_()}),
        "no module for base_model.model.score.weight",
    ),
    (
        "attention",
        lambda t: t.pop(f"base_model.model.{Q_PROJ}.lora_B.weight"),
        f"Module {Q_PROJ} has lora_A.",
    ),
    (
        "attention",
        lambda t: t.update({f"base_model.model.{Q_PROJ}.lora_A.weight": np.ones((4, 63))}),
        f"{Q_PROJ}.lora_A.weight is 4 x 63; for {Q_PROJ}.weight 64 x 64 and rank 4 it must be 4 x",
    ),
    (
        "attention",
        lambda t: t.update({f"base_model.model.{Q_PROJ}.lora_B.weight": np.ones((64, 5))}),
        f"{Q_PROJ}.lora_B.weight is 64 x 5",
    ),
    (
        "attention",
        lambda t: t.update({f"base_model.model.{Q_PROJ}.lora_magnitude_vector": np.ones(64)}),
        f"Module {Q_PROJ} has lora_A, lora_B, lora_magnitude_vector.",
    ),
    (
        "dora",
        lambda t: t.pop(f"base_model.model.{Q_PROJ}.lora_magnitude_vector"),
        f"Module {Q_PROJ} has lora_A, lora_B.",
    ),
    (
        "saved-tied",
        lambda t: t.update({"base_model.model.model.layers.0.input_layernorm.weight": np.ones(65)}),
        "model.layers.0.input_layernorm.weight is 65, and model.layers.0.input_layernorm.weight "
        "is 64",
    ),
]


def t_() -> np.ndarray:
    return np.ones((4, 64))


@pytest.mark.parametrize(("name", "change", "message"), MISMATCHES)
def test_tensors_that_do_not_match_are_named(name, change, message, tmp_path: Path) -> None:
    base, adapter = with_tensors(tmp_path, name, change)
    with pytest.raises(DamagedCheckpoint, match="does not match its base") as caught:
        open_checkpoint(adapter, base=base)
    assert message in caught.value.why


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "PROMPT_TUNING"}, "peft_type is 'PROMPT_TUNING'"),
        ({"peft_type": None, "fine_tune_type": "lora"}, "mlx-lm"),
        ({"task_type": "SEQ_CLS"}, "task_type is 'SEQ_CLS'"),
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights is 'pissa_niter_4'"),
        ({"target_parameters": ["mlp.experts.gate_up_proj"]}, "target_parameters is ["),
        ({"trainable_token_indices": [1]}, "trainable_token_indices is [1]"),
        ({"alora_invocation_tokens": [1, 2]}, "alora_invocation_tokens is [1, 2]"),
        ({"use_qalora": True}, "use_qalora is True"),
        ({"invented_later": {"a": 1}}, "invented_later is {'a': 1}"),
        ({"r": 0}, "r has 0"),
        ({"r": "8"}, "r has '8'"),
        ({"lora_alpha": None}, "lora_alpha has None"),
        ({"lora_alpha": float("nan")}, "lora_alpha has nan"),
        ({"use_dora": 1}, "use_dora is 1"),
        ({"modules_to_save": "lm_head"}, "modules_to_save is 'lm_head'"),
        ({"rank_pattern": {"q_proj": -1}}, "rank_pattern has -1"),
        ({"rank_pattern": ["q_proj"]}, "rank_pattern is ['q_proj']"),
        ({"alpha_pattern": {"(": 1}}, "alpha_pattern has the pattern '('"),
    ],
)
def test_config_that_cannot_be_done_is_refused_by_its_key(changes, message: str) -> None:
    with pytest.raises(UnsupportedModel) as caught:
        read_lora_config({**CONFIG, **changes}, "adapter_config.json")
    assert message in caught.value.why


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "(.*)(.*)(.*)(.*)x", "((x?)y)*", r"(a)\1"]
)
def test_pattern_that_could_take_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(UnsupportedModel, match="faithfully"):
        read_lora_config({**CONFIG, "alpha_pattern": {pattern: 1}}, "adapter_config.json")


def test_keys_of_training_are_passed_over() -> None:
    config = read_lora_config(
        {
            **CONFIG,
            "lora_dropout": 0.1,
            "target_modules": ["q_proj"],
            "loftq_config": {},
            "megatron_core": "megatron.core",
            "runtime_config": {"ephemeral_gpu_offload": False},
            "qalora_group_size": 16,
            "invented_later": None,
        },
        "adapter_config.json",
    )
    assert config.scale_of(Q_PROJ) == 2.0


def test_dora_of_an_embedding_is_refused(tmp_path: Path) -> None:
    adapter = replace(ADAPTERS["embedding-untied"], config={"use_dora": True})
    with pytest.raises(UnsupportedModel) as caught:
        opened(replace(adapter, targets=("embed_tokens",)), tmp_path)
    assert "use_dora is true, and model.embed_tokens is an embedding" in caught.value.why


def test_lora_bias_needs_a_bias(tmp_path: Path) -> None:
    adapter = replace(ADAPTERS["attention"], config={"lora_bias": True})
    with pytest.raises(UnsupportedModel) as caught:
        opened(adapter, tmp_path)
    assert "lora_bias is true" in caught.value.why


def test_folder_without_weights_or_base(tmp_path: Path) -> None:
    base, adapter = with_tensors(tmp_path, "attention", lambda tensors: None)
    for place in (None, adapter):
        with pytest.raises(ModelNotFound, match="is an adapter"):
            open_checkpoint(adapter, base=place)
    weights = adapter / "adapter_model.safetensors"
    weights.rename(adapter / "adapter_model.bin")
    with pytest.raises(UnsupportedModel, match="pickle"):
        open_checkpoint(adapter, base=base)
    (adapter / "adapter_model.bin").unlink()
    with pytest.raises(ModelNotFound, match=r"has no adapter_model\.safetensors"):
        open_checkpoint(adapter, base=base)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "x", "q_proj"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)
KEYS = st.sampled_from(
    [
        "peft_type",
        "task_type",
        "r",
        "lora_alpha",
        "rank_pattern",
        "alpha_pattern",
        "use_rslora",
        "use_dora",
        "modules_to_save",
        "init_lora_weights",
        "ensure_weight_tying",
        "new_key",
    ]
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(changes=st.dictionaries(KEYS, JSON, max_size=2), data=st.data())
def test_mutated_adapters_are_refused_or_read(tmp_path_factory, changes, data) -> None:
    folder = tmp_path_factory.mktemp("mutated")
    base, adapter = with_tensors(folder, "patterns-rslora", lambda tensors: None)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, **changes}))
    weights = adapter / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    places = st.integers(0, 8 + int.from_bytes(content[:8], "little"))
    for place, byte in data.draw(st.dictionaries(places, st.integers(0, 255), max_size=2)).items():
        content[place] = byte
    weights.write_bytes(content)
    try:
        merged = open_checkpoint(adapter, base=base)
        shapes = {name: t.rows(0, t.shape[0]).shape for name, t in merged.tensors.items()}
    except LiteRtLmError:
        return
    assert shapes == {name: t.shape for name, t in open_checkpoint(base).tensors.items()}


@pytest.mark.parametrize("name", ["head-tied", "embedding-tied"])
def test_stored_head_of_a_tied_base(name: str, tmp_path: Path) -> None:
    """One that differs from the embedding is merged; one that is equal is a copy, and left out."""
    adapter = ADAPTERS[name]
    write_adapter(adapter, tmp_path / "adapter", "base")
    names, half = ("model.embed_tokens.weight", "lm_head.weight"), VOCAB_SIZE // 2
    tensors = {}
    for equal in (True, False):
        base = write_with_head(adapter.base, tmp_path / f"base-{equal}", equal=equal)
        merged = open_checkpoint(tmp_path / "adapter", base=base)
        assert merged.config["tie_word_embeddings"] is False
        tensors[equal] = [merged.tensors[key].rows(0, VOCAB_SIZE) for key in names]
    assert np.array_equal(tensors[True][0], tensors[False][0])
    assert np.array_equal(tensors[True][1][:half], tensors[False][1][:half])
    assert not np.array_equal(tensors[True][1][half:], tensors[False][1][half:])
