"""BOS, stop tokens, sampling defaults and capabilities come from the checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from litert_lm_builder.runtime.proto import llm_metadata_pb2

from fidelity.cases import template_text
from litertlm.bundle.adapted_template import SourceTemplate
from litertlm.bundle.family_prompts import FAMILIES
from litertlm.bundle.metadata import llm_metadata
from litertlm.bundle.prompt_config import read_prompt_config, sampler
from litertlm.bundle.template_adapter import adapt
from litertlm.checkpoint import Checkpoint, Tokenizer, open_checkpoint
from litertlm.errors import DamagedCheckpoint, TemplateError
from tiny import MODELS, change_config, write_checkpoint


def checkpoint(
    template: str | None = None,
    *,
    config: Mapping[str, Any] | None = None,
    generation: Mapping[str, Any] | None = None,
    tokens: Mapping[str, int] | None = None,
    adds_bos: bool = False,
) -> Checkpoint:
    tokens = tokens or {}
    added = [{"id": number, "content": text} for text, number in tokens.items()]
    tokenizer = Tokenizer(
        json=json.dumps({"added_tokens": added}).encode(),
        sentencepiece=None,
        config={"bos_token": "<bos>", "eos_token": "</s>"},
        chat_template=template,
        adds_bos=adds_bos,
        bos_token_id=tokens.get("<bos>", 1),
        eos_token_id=tokens.get("</s>"),
    )
    return Checkpoint(Path("x"), "safetensors", config or {}, generation or {}, {}, tokenizer)


def test_stop_tokens_are_the_union_of_what_the_checkpoint_says() -> None:
    found = read_prompt_config(
        checkpoint(
            template_text("qwen3"),
            config={"eos_token_id": 11, "text_config": {"eos_token_id": 12}},
            generation={"eos_token_id": [13, 14]},
            tokens={"</s>": 15, "<|im_end|>": 16},
        ),
        adapt,
    )
    assert found.stop_token_ids == (11, 12, 13, 14, 15, 16)


def test_suppressed_tokens_are_those_of_the_vocabulary() -> None:
    config = {"vocab_size": 100}
    source = checkpoint(config=config, generation={"suppress_tokens": [9, 99, 100, 7, 9]})
    assert read_prompt_config(source, adapt).suppressed_token_ids == (7, 9, 99)
    source = checkpoint(config=config, generation={"suppress_tokens": [True]})
    with pytest.raises(DamagedCheckpoint, match=r"generation_config.json: suppress_tokens"):
        read_prompt_config(source, adapt)


def test_an_end_of_turn_that_is_no_token_is_not_invented() -> None:
    found = read_prompt_config(checkpoint(template_text("qwen3"), tokens={"</s>": 15}), adapt)
    assert found.stop_token_ids == (15,)


@pytest.mark.parametrize(
    ("template", "adds_bos", "start"),
    [
        (None, True, 7),
        (None, False, None),
        (template_text("gemma3"), True, 7),
        (template_text("gemma3"), False, 7),
        (template_text("qwen3"), True, None),
    ],
)
def test_bos_is_there_where_the_checkpoint_puts_it(
    template: str | None, adds_bos: bool, start: int | None
) -> None:
    found = read_prompt_config(checkpoint(template, tokens={"<bos>": 7}, adds_bos=adds_bos), adapt)
    assert found.start_token_id == start


@pytest.mark.parametrize(
    ("generation", "kind", "temperature", "top_k", "top_p"),
    [
        (
            {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95},
            "top_p",
            0.6,
            20,
            0.95,
        ),
        ({"do_sample": True}, "top_p", 1.0, 50, 1.0),
        ({"temperature": 0.7}, "top_p", 0.7, 50, 1.0),
        ({"do_sample": False, "temperature": 0.7}, "greedy", 1.0, 1, 1.0),
        ({"temperature": 0}, "greedy", 1.0, 1, 1.0),
        ({}, "greedy", 1.0, 1, 1.0),
    ],
)
def test_sampling_defaults(
    generation: Mapping[str, Any], kind: str, temperature: float, top_k: int, top_p: float
) -> None:
    found = sampler(generation, None)
    assert (found.kind, found.temperature, found.top_k, found.top_p) == (
        kind,
        temperature,
        top_k,
        top_p,
    )


def test_a_family_speaks_where_the_checkpoint_is_silent() -> None:
    found = read_prompt_config(checkpoint(config={"model_type": "gemma3_text"}), adapt)
    assert found.model_type == "gemma3"
    assert (found.sampler.top_k, found.sampler.source) == (64, "family")


# Thoughts as Gemma 4's template has them: of earlier answers none, and an empty one unless asked.
CHANNELS = (
    "{{ bos_token }}{% for m in messages %}"
    "{{ '<|turn>' + ('model' if m.role == 'assistant' else m.role) }}\n"
    "{{ m.content.split('<channel|>')[-1] | trim }}<turn|>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|turn>model\n' }}"
    "{% if not enable_thinking | default(false) %}{{ '<|channel>thought\n<channel|>' }}{% endif %}"
    "{% endif %}"
)


def test_thoughts_in_a_channel() -> None:
    tokens = {"<bos>": 2, "<|turn>": 105, "<turn|>": 106}
    found = read_prompt_config(
        checkpoint(CHANNELS, tokens=tokens, config={"model_type": "gemma4_text"}), adapt
    )
    assert found.thinking_tags == ("<|channel>thought\n", "<channel|>")
    assert found.template.kind == "adapted"
    assert "<think>" not in str(found.template.source)
    assert found.stop_token_ids == (106,)


@pytest.mark.parametrize(
    ("model_type", "runtime_type"),
    [
        ("gemma3n_text", "generic_model"),
        ("gemma4_text", "gemma4"),
        ("gemma4", "gemma4"),
        ("gemma4_unified", "gemma4"),
    ],
)
def test_gemma_without_a_generation_config(model_type: str, runtime_type: str) -> None:
    found = read_prompt_config(checkpoint(config={"model_type": model_type}), adapt)
    assert found.model_type == runtime_type
    assert (found.sampler.top_k, found.sampler.source) == (64, "family")


@pytest.mark.parametrize("model_type", ["gemma3_text", "gemma3"])
def test_function_gemma_is_recognised_by_its_template(model_type: str) -> None:
    template = "{% for m in messages %}<start_function_call>{{ m.content }}{% endfor %}"
    found = read_prompt_config(checkpoint(template, config={"model_type": model_type}), adapt)
    assert found.model_type == "function_gemma"
    message = llm_metadata_pb2.LlmMetadata.FromString(llm_metadata(found, max_num_tokens=8))
    assert message.llm_model_type.function_gemma.use_template_for_fc_format


def test_thinking_and_tools_are_those_of_the_template() -> None:
    qwen = read_prompt_config(
        checkpoint(template_text("qwen3"), config={"model_type": "qwen3"}), adapt
    )
    assert qwen.thinking_tags == ("<think>", "</think>")
    assert (qwen.model_type, qwen.supports_tools) == ("qwen3", True)
    gemma = read_prompt_config(
        checkpoint(template_text("gemma3"), config={"model_type": "gemma3_text"}), adapt
    )
    assert (gemma.supports_thinking, gemma.supports_tools) == (False, False)


@pytest.mark.parametrize("family", ["qwen3", "gemma3_text", "phi3"])
def test_a_familys_plain_template_is_its_format(family: str) -> None:
    names = {"qwen3": "qwen3", "gemma3_text": "gemma3", "phi3": "phi3"}
    from litertlm.bundle.probe_conversations import Conversation, assistant, system, user
    from litertlm.bundle.runtime_jinja import compile_for_runtime, runtime_variables

    chat = Conversation([system("S"), user("a"), assistant("b"), user("c")])
    variables = runtime_variables(chat.messages, None, {}, add_generation_prompt=True)
    fallback = FAMILIES[family].fallback
    assert fallback is not None
    plain, own = (
        compile_for_runtime(source, lambda: None)(variables)  # type: ignore[arg-type,return-value]
        for source in (fallback, adapt(SourceTemplate.of(template_text(names[family]), {})).source)
    )
    assert plain == own


@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
@pytest.mark.parametrize("key", ["eos_token_id", "bos_token_id", "pad_token_id"])
@pytest.mark.parametrize(
    "value",
    ["24", "<eos>", 2.0, True, float("nan"), [2, "4"], [[2]], {"a": 2}, 320, 1 << 31, -2],
)
def test_a_token_id_that_is_none_is_refused(
    file: str, key: str, value: object, tmp_path: Path
) -> None:
    folder = write_checkpoint(MODELS["llama-gqa-tied"], tmp_path)
    config = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**config, key: value}))
    with pytest.raises(DamagedCheckpoint, match=f"{file}: {key}"):
        read_prompt_config(open_checkpoint(folder), adapt)


@pytest.mark.parametrize("key", ["bos_token_id", "pad_token_id"])
@pytest.mark.parametrize("value", [[], [2], [2, 4]])
def test_only_stop_tokens_may_be_several(key: str, value: list[int], tmp_path: Path) -> None:
    folder = write_checkpoint(MODELS["llama-gqa-tied"], tmp_path)
    change_config(folder, {key: value})
    with pytest.raises(DamagedCheckpoint, match=r"must be one integer"):
        read_prompt_config(open_checkpoint(folder), adapt)


@pytest.mark.parametrize("key", ["eos_token_id", "image_token_id", "decoder_start_token_id"])
@pytest.mark.parametrize("file", ["config.json", "generation_config.json", "tokenizer_config.json"])
def test_every_token_id_of_every_config_is_checked(file: str, key: str, tmp_path: Path) -> None:
    folder = write_checkpoint(MODELS["llama-gqa-tied"], tmp_path)
    config = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**config, key: "24"}))
    with pytest.raises(DamagedCheckpoint, match=f"{file}: {key}"):
        read_prompt_config(open_checkpoint(folder), adapt)


def test_ids_of_parts_that_are_not_converted_may_be_beyond_the_vocabulary(tmp_path: Path) -> None:
    folder = write_checkpoint(MODELS["llama-gqa-tied"], tmp_path)
    change_config(folder, {"image_token_id": 320, "pad_token_id": -1, "sep_token_id": -1})
    assert read_prompt_config(open_checkpoint(folder), adapt).stop_token_ids == (2, 4)


def test_the_vocabulary_is_the_embedding_where_the_config_has_no_size(tmp_path: Path) -> None:
    folder = write_checkpoint(MODELS["gemma3-vision"], tmp_path)
    change_config(folder, {"text_config/vocab_size": None, "text_config/eos_token_id": 320})
    with pytest.raises(DamagedCheckpoint, match=r"text_config\.eos_token_id"):
        read_prompt_config(open_checkpoint(folder), adapt)


def test_an_end_of_turn_beyond_the_vocabulary_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(MODELS["llama-gqa-tied"], tmp_path)
    path = folder / "tokenizer_config.json"
    tokens = {str(1 << 40): {"content": "<|im_end|>"}}
    config = {**json.loads(path.read_text()), "added_tokens_decoder": tokens}
    path.write_text(json.dumps(config))
    with pytest.raises(DamagedCheckpoint, match=r"<\|im_end\|>.* is not a token"):
        read_prompt_config(open_checkpoint(folder), adapt)


@pytest.mark.parametrize("key", ["temperature", "top_k", "top_p"])
@pytest.mark.parametrize("value", ["0.5", True, [1], -1, float("nan"), 1 << 40])
def test_a_sampling_value_that_is_no_number_is_refused(
    key: str, value: object, tmp_path: Path
) -> None:
    folder = write_checkpoint(MODELS["llama-gqa-tied"], tmp_path)
    (folder / "generation_config.json").write_text(json.dumps({"do_sample": True, key: value}))
    with pytest.raises(DamagedCheckpoint, match=key):
        read_prompt_config(open_checkpoint(folder), adapt)


@pytest.mark.parametrize(
    "decoder", [{"0": "<pad>"}, {"a": {"content": "<pad>"}}, {"-1": {}}, [{"content": "<pad>"}]]
)
def test_added_tokens_decoder_must_be_tokens_by_id(decoder: object, tmp_path: Path) -> None:
    folder = write_checkpoint(MODELS["llama-gqa-tied"], tmp_path)
    path = folder / "tokenizer_config.json"
    config = {**json.loads(path.read_text()), "added_tokens_decoder": decoder}
    path.write_text(json.dumps(config))
    with pytest.raises(DamagedCheckpoint, match="added_tokens_decoder"):
        read_prompt_config(open_checkpoint(folder), adapt)


@pytest.mark.parametrize("source", ["{{ '\\ud800' }}", "{{ bos_token }}"])
def test_a_prompt_that_is_not_utf8_is_an_error_of_the_template(source: str) -> None:
    from litertlm.bundle.hf_template import render

    with pytest.raises(TemplateError):
        render(source, [{"role": "user", "content": "Hi"}], {"bos_token": "\ud800"})


@pytest.mark.parametrize("text", ['{"x": "\\ud800"}', '{"x": 1}', "[]", "{", "[" * 100_000])
def test_template_variables_of_a_bundle_that_are_no_texts_are_damage(text: str) -> None:
    from litertlm.bundle_format.header import Header
    from litertlm.bundle_format.info import BundleInfo, template_variables
    from litertlm.errors import DamagedBundle

    with pytest.raises(DamagedBundle, match="template variables"):
        template_variables(BundleInfo(Header(system={"template_variables": text})))
