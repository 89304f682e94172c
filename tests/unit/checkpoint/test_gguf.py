"""GGUF: a model opens from it as from the folder that it was converted from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize, quantize
from tokenizers import Tokenizer

from litertlm.checkpoint import open_checkpoint
from litertlm.checkpoint.gguf_header import read_architecture
from litertlm.checkpoint.gguf_pretokenizers import PRE_TOKENIZERS
from litertlm.errors import DamagedCheckpoint, LiteRtLmError, ModelNotFound, UnsupportedModel
from litertlm.families import identify
from tiny import MODELS, TinyModel, tensor_shapes, write_checkpoint
from tiny.checkpoint import tensor_values
from tiny.gguf_file import GGUF_CASES, write_gguf
from tiny.models import family_of

TYPE = gguf.GGMLQuantizationType


def changed(name: str, **config: Any) -> TinyModel:
    """A tiny model with other config values; None removes one."""
    model = MODELS[name]
    merged = {**model.config, **config}
    return replace(model, config={k: v for k, v in merged.items() if v is not None})


# Each with what GGUF and llama.cpp can say of it.
REPRESENTABLE = {
    **{name: changed(name, **changes) for name, changes in GGUF_CASES},
    "llama llama3": changed(
        "llama-llama3-f16-sharded",
        rope_theta=500000.0,
        rope_parameters=None,
        rope_scaling={
            "rope_type": "llama3",
            "factor": 32.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
    ),
    "llama yarn": changed("llama-yarn-gelu", hidden_act="silu"),
    "olmo2": MODELS["olmo2-mha-untied"],
}


@pytest.mark.parametrize("name", REPRESENTABLE)
def test_a_model_opens_as_its_folder_does(tmp_path: Path, name: str) -> None:
    model = replace(REPRESENTABLE[name], dtype="F32")
    folder = open_checkpoint(write_checkpoint(model, tmp_path / "folder"))

    opened = open_checkpoint(write_gguf(model, tmp_path / "m.gguf"))

    ours, original = identify(opened.config), identify(folder.config)
    converter = family_of(model).gguf
    assert converter is not None
    assert ours.name == (converter.family or original.name)
    assert repr(ours.config) == repr(original.config)
    assert opened.tensors.keys() == folder.tensors.keys()
    for tensor in folder.tensors.values():
        same = opened.tensors[tensor.name]
        assert same.shape == tensor.shape
        rows = tensor.shape[0] if tensor.shape else 1
        np.testing.assert_allclose(same.rows(0, rows), tensor.rows(0, rows), rtol=0, atol=1e-6)
        part = slice(rows // 5, rows // 2)
        np.testing.assert_array_equal(
            same.rows(part.start, part.stop), same.rows(0, rows)[part], strict=True
        )


def test_layer_patterns_that_llama_cpp_fixes(tmp_path: Path) -> None:
    config = open_checkpoint(
        write_gguf(REPRESENTABLE["gemma2-softcaps"], tmp_path / "2.gguf")
    ).config
    assert config["layer_types"] == ["sliding_attention", "full_attention"]
    model = changed("gemma3_text-pattern-linear", num_hidden_layers=7)
    config = open_checkpoint(write_gguf(model, tmp_path / "3.gguf")).config
    assert config["layer_types"] == [
        *["sliding_attention"] * 5, "full_attention", "sliding_attention",
    ]  # fmt: skip
    config = open_checkpoint(
        write_gguf(REPRESENTABLE["smollm3-nope-tied"], tmp_path / "s.gguf")
    ).config
    assert config["no_rope_layers"] == [1, 1, 1, 0]


def test_the_vocabulary_is_the_folders(tmp_path: Path) -> None:
    for model in (MODELS["llama-gqa-tied"], MODELS["qwen3-gqa-tied"]):
        folder = open_checkpoint(write_checkpoint(model, tmp_path / model.name))
        opened = open_checkpoint(write_gguf(model, tmp_path / f"{model.name}.gguf"))
        ours, original = opened.tokenizer, folder.tokenizer
        assert ours.chat_template == original.chat_template
        assert ours.adds_bos == original.adds_bos == model.adds_bos
        assert (ours.bos_token_id, ours.eos_token_id) == (
            original.bos_token_id,
            original.eos_token_id,
        )
        assert ours.config["added_tokens_decoder"] == original.config["added_tokens_decoder"]
        assert ours.json is not None
        assert original.json is not None
        text = "<|im_start|>user\nWhat's the capital,  then? 12<|im_end|>\n\n"
        expected = Tokenizer.from_buffer(original.json).encode(text)
        encoding = Tokenizer.from_buffer(ours.json).encode(text)
        assert encoding.ids == expected.ids
        assert Tokenizer.from_buffer(ours.json).decode(encoding.ids[1:], False) == (
            Tokenizer.from_buffer(original.json).decode(expected.ids[1:], False)
        )


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("lfm2", ["I", "'M", " fine", "!\n\n", "123", "45", "_a日本", "  ", " b"]),
        ("glm4", ["I", "'M", " fine", "!\n\n", "123", "45", "_a日本", "  ", " b"]),
        (
            "seed-coder",
            ["I", "'M", " fine", "!", "\n\n", *"12345", "_a日本", "  ", " b"],
        ),
        (
            "hunyuan-dense",
            ["I", "'M", " fine", "!\n\n", "123", "45", "_a", "日本", "  ", " b"],
        ),
        (
            "exaone4",
            ["I", "'", "M", " fine", "!", "\n", "\n", "12345", "_", "a日本", "  ", " b"],
        ),
        (
            "command-r",
            ["I", "'", "M", " fine", "!", "\n\n", *"12345", "_", "a日本", "  ", " b"],
        ),
    ],
)
def test_words_of_pre_tokenizers(name: str, pieces: list[str]) -> None:
    steps = PRE_TOKENIZERS[name].steps()
    empty = {"type": "BPE", "vocab": {}, "merges": []}
    document = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
        "model": empty,
    }
    split = Tokenizer.from_str(json.dumps(document)).pre_tokenizer
    text = "I'M fine!\n\n12345_a日本   b"
    words = [text[start:end] for _, (start, end) in split.pre_tokenize_str(text)]
    assert words == pieces


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("granite-multipliers-tied", {"granite__rope__scaling__finetuned": False}, "finetuned"),
        ("glm4-bias-untied", {"glm4__rope__dimension_sections": [8, 12]}, "dimension_sections"),
        ("lfm2-bias-four-taps-untied", {"lfm2__attention__sliding_window": 8}, "sliding_window"),
        ("lfm2-bias-four-taps-untied", {"lfm2__attention__head_count_kv": [0, 1, 2]}, "head_count"),
        (
            "lfm2-bias-four-taps-untied",
            {"lfm2__attention__head_count_kv": [0, 1, 0, 2]},
            "head_count_kv differs",
        ),
        (
            "exaone4-types-head-dim",
            {"exaone4__attention__sliding_window_pattern": [1, 0, 1]},
            "sliding_window_pattern",
        ),
        ("apertus-xielu-bf16", {"xielu__alpha_p": [0.5]}, "xielu.alpha_p"),
        (
            "minicpm3-latent-bias-untied",
            {"minicpm3__attention__kv_lora_rank": None},
            "kv_lora_rank",
        ),
    ],
)
def test_what_an_architecture_cannot_have(
    tmp_path: Path, name: str, values: dict[str, Any], message: str
) -> None:
    path = write_gguf(REPRESENTABLE[name], tmp_path / "m.gguf")
    with pytest.raises((DamagedCheckpoint, UnsupportedModel)) as caught:
        open_checkpoint(edited(path, **values))
    assert message in str(caught.value) + caught.value.why


def test_glm_with_queries_keys_and_values_in_one_tensor(tmp_path: Path) -> None:
    """As the converter writes checkpoints of the format before transformers had the family."""
    model = REPRESENTABLE["glm-bias-untied"]
    tensors = {n: tensor_values(model, n, s) for n, s in tensor_shapes(model).items()}
    separate = open_checkpoint(write_gguf(model, tmp_path / "separate.gguf", tensors=tensors))
    for layer in range(2):
        for kind in ("weight", "bias"):
            names = [f"model.layers.{layer}.self_attn.{x}_proj.{kind}" for x in "qkv"]
            fused = f"encoder.layers.{layer}.self_attention.query_key_value.{kind}"
            tensors[fused] = np.concatenate([tensors.pop(name) for name in names])
    path = write_gguf(model, tmp_path / "fused.gguf", tensors=tensors)

    opened = open_checkpoint(path)

    assert opened.config == separate.config
    assert opened.tensors.keys() == separate.tensors.keys()
    for tensor in separate.tensors.values():
        same, rows = opened.tensors[tensor.name], tensor.shape[0]
        assert (same.shape, same.nbytes) == (tensor.shape, tensor.nbytes)
        np.testing.assert_array_equal(same.rows(1, rows), tensor.rows(1, rows))
    with pytest.raises(DamagedCheckpoint, match=r"attn_qkv.* has 128 rows"):
        open_checkpoint(edited(path, chatglm__attention__head_count_kv=4))


def test_mistral_3_without_growing_queries_is_a_mistral(tmp_path: Path) -> None:
    path = write_gguf(REPRESENTABLE["ministral3-yarn-window-untied"], tmp_path / "m.gguf")
    opened = open_checkpoint(edited(path, mistral3__attention__temperature_scale=None))
    assert opened.config["model_type"] == "mistral"
    assert identify(opened.config).states[0][0].window == 12


def test_end_tokens_and_sampling_values(tmp_path: Path) -> None:
    path = write_gguf(MODELS["llama-gqa-tied"], tmp_path / "m.gguf")
    opened = open_checkpoint(edited(path, tokenizer__ggml__suppress_tokens=[7, 9]))
    assert opened.generation_config["eos_token_id"] == [4, 2]
    assert opened.generation_config["suppress_tokens"] == [7, 9]


@pytest.mark.parametrize(
    "stored", [TYPE.F16, TYPE.BF16, TYPE.Q8_0, TYPE.Q4_0, TYPE.Q4_1, TYPE.Q5_0, TYPE.Q5_1]
)
def test_quantized_rows_are_those_of_the_gguf_package(
    tmp_path: Path, stored: gguf.GGMLQuantizationType
) -> None:
    model = MODELS["qwen3-gqa-tied"]
    exact = open_checkpoint(write_gguf(model, tmp_path / "exact.gguf"))

    opened = open_checkpoint(write_gguf(model, tmp_path / "m.gguf", matrices=stored))

    name = "model.layers.1.mlp.up_proj.weight"
    values = exact.tensors[name].rows(0, 96)
    assert opened.tensors[name].dtype == stored.name
    expected = dequantize(quantize(values, stored), stored)
    np.testing.assert_array_equal(opened.tensors[name].rows(0, 96), expected)
    np.testing.assert_array_equal(opened.tensors[name].rows(31, 64), expected[31:64])


def test_a_folder_with_one_gguf_file(tmp_path: Path) -> None:
    path = write_gguf(MODELS["llama-gqa-tied"], tmp_path / "m.gguf")
    assert open_checkpoint(tmp_path).path == path
    write_gguf(MODELS["llama-gqa-tied"], tmp_path / "n.gguf")
    with pytest.raises(ModelNotFound) as caught:
        open_checkpoint(tmp_path)
    assert "m.gguf" in caught.value.hint
    assert "n.gguf" in caught.value.hint


def edited(path: Path, **values: Any) -> Path:
    """A copy of the GGUF file with other key-values (`__` for a dot) and no others added."""
    reader = gguf.GGUFReader(path)
    fields = {k: v for k, v in reader.fields.items() if not k.startswith("GGUF.")}
    architecture = values.pop("general__architecture", fields["general.architecture"].contents())
    writer = gguf.GGUFWriter(path.with_name("edited.gguf"), architecture)
    changes = {key.replace("__", "."): value for key, value in values.items()}
    for key, field in fields.items():
        if key == "general.architecture" or key in changes:
            continue
        writer.add_key_value(
            key.replace("llama.", f"{architecture}."),
            field.contents(),
            field.types[0],
            field.types[-1] if len(field.types) > 1 else None,
        )
    for key, value in changes.items():
        if value is not None:
            kind = gguf.GGUFValueType.get_type(value)
            writer.add_key_value(key, value, kind)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.with_name("edited.gguf")


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"general__architecture": "mamba"}, UnsupportedModel, "architecture 'mamba'"),
        ({"llama__expert_count": 8}, UnsupportedModel, "expert_count = 8"),
        ({"llama__attention__value_length": 8}, UnsupportedModel, "attention.value_length"),
        ({"llama__rope__scaling__type": "dynamic"}, UnsupportedModel, "scaling.type = 'dynamic'"),
        ({"split__count": 3}, UnsupportedModel, "one of 3 parts"),
        ({"tokenizer__ggml__pre": "brandnew"}, UnsupportedModel, "Pre-tokenizer 'brandnew'"),
        ({"tokenizer__ggml__model": "t5"}, UnsupportedModel, "Tokenizer 't5'"),
        ({"llama__block_count": None}, DamagedCheckpoint, "lacks the key llama.block_count"),
        ({"llama__block_count": 2_000_000_000}, DamagedCheckpoint, "no tensors of layer"),
        ({"llama__block_count": "two"}, DamagedCheckpoint, "llama.block_count"),
        ({"llama__attention__head_count": 0}, DamagedCheckpoint, "0 attention heads"),
        ({"llama__attention__head_count": 3}, DamagedCheckpoint, "not a multiple of a head"),
        ({"llama__attention__head_count": [4, 2]}, UnsupportedModel, "differs between layers"),
        ({"tokenizer__ggml__eos_token_id": 320}, DamagedCheckpoint, "eos_token_id is not a token"),
        ({"tokenizer__ggml__bos_token_id": True}, DamagedCheckpoint, "bos_token_id is not a token"),
        ({"tokenizer__ggml__eom_token_id": 320}, DamagedCheckpoint, "eom_token_id is not a token"),
        (
            {"tokenizer__ggml__tokens": ["a", "a"], "tokenizer__ggml__token_type": None},
            DamagedCheckpoint,
            "'a' occurs twice",
        ),
        ({"tokenizer__ggml__tokens": [1, 2]}, DamagedCheckpoint, "tokens is missing or of a wrong"),
        ({"tokenizer__ggml__token_type": [1]}, DamagedCheckpoint, "1 elements for 320 tokens"),
        ({"tokenizer__ggml__merges": ["Ġ t", "qq zz"]}, DamagedCheckpoint, "'qq zz'"),
        ({"tokenizer__ggml__add_bos_token": 7}, DamagedCheckpoint, "add_bos_token is 7"),
    ],
)
def test_headers_that_cannot_be_translated(
    tmp_path: Path, values: dict[str, Any], error: type[LiteRtLmError], message: str
) -> None:
    path = edited(write_gguf(MODELS["llama-gqa-tied"], tmp_path / "m.gguf"), **values)
    with pytest.raises(error) as caught:
        open_checkpoint(path)
    assert message in caught.value.what + caught.value.why


def test_rotary_factors_of_no_known_parameters(tmp_path: Path) -> None:
    model = REPRESENTABLE["llama llama3"]
    scaling = {**model.config["rope_scaling"], "original_max_position_embeddings": 64}
    model = replace(model, config={**model.config, "rope_scaling": scaling})
    with pytest.raises(UnsupportedModel) as caught:
        open_checkpoint(write_gguf(model, tmp_path / "m.gguf"))
    assert "rope_freqs.weight" in caught.value.why


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"feed_forward_length": [96] * 4 + [192]}, UnsupportedModel, "[96, 96, 96, 96, 192]"),
        ({"feed_forward_length": [96] * 4}, DamagedCheckpoint, "gemma4.feed_forward_length"),
        ({"attention__sliding_window_pattern": 5}, DamagedCheckpoint, "window_pattern of"),
        ({"attention__sliding_window_pattern": [1] * 5}, DamagedCheckpoint, "window_pattern of"),
        ({"rope__dimension_count_swa": 8}, UnsupportedModel, "another rotation"),
        ({"attention__value_length": 16}, UnsupportedModel, "heads of unequal size"),
    ],
)
def test_gemma4_layers_that_differ_as_no_published_model(
    tmp_path: Path, values: dict[str, Any], error: type[LiteRtLmError], message: str
) -> None:
    changes = {f"gemma4.{key}": value for key, value in values.items()}
    path = edited(write_gguf(MODELS["gemma4_text-shared-wide"], tmp_path / "m.gguf"), **changes)
    with pytest.raises(error) as caught:
        open_checkpoint(path)
    assert message in caught.value.what + caught.value.why


@pytest.mark.parametrize(
    "values",
    [
        {"activation_sparsity_scale": [1.5] * 4},
        {"activation_sparsity_scale": [1, 1, 0, 0, 0]},
        {"altup__num_inputs": None},
        {"attention__sliding_window_pattern": [True] * 4},
    ],
)
def test_gemma3n_keys_of_a_wrong_type(tmp_path: Path, values: dict[str, Any]) -> None:
    changes = {f"gemma3n.{key}": value for key, value in values.items()}
    model = REPRESENTABLE["gemma3n_text-sparse-shared"]
    path = edited(write_gguf(model, tmp_path / "m.gguf"), **changes)
    with pytest.raises(DamagedCheckpoint, match=next(iter(values)).replace("__", ".")):
        open_checkpoint(path)


def test_gemma3n_layers_without_sparsity(tmp_path: Path) -> None:
    path = write_gguf(REPRESENTABLE["gemma3n_text-sparse-shared"], tmp_path / "m.gguf")
    config = open_checkpoint(path).config
    assert config["activation_sparsity_pattern"] == [0.75, 0.5, 0.0, 0.0, 0.0]


def test_gemma4_rotary_factors_of_another_kind(tmp_path: Path) -> None:
    model = MODELS["gemma4_text-shared-wide"]
    path = write_gguf(model, tmp_path / "m.gguf")
    stored, other = (np.array([1.0, *[f] * 15], np.float32).tobytes() for f in (1e30, 3.0))
    whole = np.array([1.0] * 4 + [1e30] * 12, np.float32).tobytes()
    content = path.read_bytes()
    assert content.count(whole) == 1
    path.write_bytes(content.replace(whole, stored))
    rope = open_checkpoint(path).config["rope_parameters"]["full_attention"]
    assert rope["partial_rotary_factor"] == 1 / 16
    path.write_bytes(content.replace(whole, other))
    with pytest.raises(UnsupportedModel) as caught:
        open_checkpoint(path)
    assert "rope_freqs.weight" in caught.value.why


def test_a_missing_file_and_a_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="does not exist"):
        open_checkpoint(tmp_path / "no.gguf")
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(ModelNotFound, match="is not a checkpoint"):
        open_checkpoint(tmp_path / "x.txt")
    (tmp_path / "x.gguf").write_text("hello")
    with pytest.raises(DamagedCheckpoint, match="is damaged"):
        open_checkpoint(tmp_path / "x.gguf")


def test_the_architecture_in_the_first_bytes() -> None:
    def text(value: str) -> bytes:
        return len(value).to_bytes(8, "little") + value.encode()

    def key(name: str, kind: int, value: bytes) -> bytes:
        return text(name) + kind.to_bytes(4, "little") + value

    def head(*keys: bytes, magic: bytes = b"GGUF", version: int = 3) -> bytes:
        counts = (7).to_bytes(8, "little") + len(keys).to_bytes(8, "little")
        return magic + version.to_bytes(4, "little") + counts + b"".join(keys)

    number = key("general.file_type", 4, bytes(4))
    name = key("general.architecture", 8, text("qwen3"))
    flags = key("a", 9, (7).to_bytes(4, "little") + (2).to_bytes(8, "little") + b"\1\0")
    assert read_architecture(head(name)) == "qwen3"
    assert read_architecture(head(number, flags, name) + bytes(99)) == "qwen3"
    assert read_architecture(head(number)) is None
    assert read_architecture(head(name)[:-1]) is None
    assert read_architecture(head(key("general.architecture", 4, bytes(4)))) is None
    long = key("a", 9, (8).to_bytes(4, "little") + (1 << 40).to_bytes(8, "little"))
    assert read_architecture(head(long, name)) is None
    assert read_architecture(head(name, magic=b"LITE")) is None
    assert read_architecture(b"") is None
    with pytest.raises(UnsupportedModel, match="version 1"):
        read_architecture(head(name, version=1))
