"""Checkpoint folders: config, tokenizer files and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from litertlm.checkpoint import Checkpoint, open_checkpoint
from litertlm.errors import DamagedCheckpoint, LiteRtLmError, ModelNotFound, UnsupportedModel
from tiny import MODELS, tokenizer_json, write_checkpoint

Edit = Callable[[Path], Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_checkpoint(MODELS["llama-gqa-tied"], tmp_path / "model")


def update(path: Path, **values: Any) -> None:
    """Change keys of a JSON file; None removes one."""
    content = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def opened_with(folder: Path, **tokenizer_config: Any) -> Checkpoint:
    update(folder / "tokenizer_config.json", **tokenizer_config)
    return open_checkpoint(folder)


def test_a_whole_folder(folder: Path) -> None:
    opened = open_checkpoint(folder)
    assert opened.format == "safetensors"
    assert opened.config == json.loads((folder / "config.json").read_text())
    assert opened.generation_config["eos_token_id"] == [2, 4]
    assert opened.tokenizer.json == (folder / "tokenizer.json").read_bytes()
    assert opened.tokenizer.adds_bos
    assert (opened.tokenizer.bos_token_id, opened.tokenizer.eos_token_id) == (1, 4)
    assert opened.nbytes == sum(t.nbytes for t in opened.tensors.values())
    weights = folder / "model.safetensors"
    header = int.from_bytes(weights.read_bytes()[:8], "little")
    assert opened.nbytes == weights.stat().st_size - 8 - header


def test_optional_files_may_be_missing(folder: Path) -> None:
    for name in ("generation_config.json", "tokenizer_config.json"):
        (folder / name).unlink()
    opened = open_checkpoint(folder)
    assert opened.generation_config == {}
    assert opened.tokenizer.chat_template is None
    assert opened.tokenizer.bos_token_id is None


def test_a_byte_order_mark_is_accepted(folder: Path) -> None:
    config = (folder / "config.json").read_bytes()
    (folder / "config.json").write_bytes(b"\xef\xbb\xbf" + config)
    assert open_checkpoint(folder).config == json.loads(config)


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON"),
        (b'{"a": 1', "is not valid JSON"),
        (b"[1]", "is not a JSON object"),
        (b'"text"', "is not a JSON object"),
        (b'{"a": "\xff"}', "is not UTF-8 text"),
        (b'\xff\xfe{\0"\0', "is not UTF-8 text"),
        (b'{"a": 1, "a": 2}', "is not valid JSON"),
        (b'{"a": ' + b"[" * 100_000, "is not valid JSON"),
        (b" " * 16_000_001, "is too large"),
    ],
)
def test_json_files_that_are_not_objects(
    folder: Path, name: str, content: bytes, message: str
) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(DamagedCheckpoint) as caught:
        open_checkpoint(folder)
    assert str(folder / name) in caught.value.what
    assert message in caught.value.what


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def only_pickles(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def quantized(folder: Path) -> None:
    update(folder / "config.json", quantization_config={"quant_method": "hqq"})


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    # Llama 3 has this file in another format than SentencePiece's.
    (folder / "tokenizer.model").write_text("IQ== 0\nIg== 1\n")


def added_token_beyond_the_vocabulary(folder: Path) -> None:
    update(folder / "config.json", vocab_size=4)


def vocabulary_larger_than_the_embedding(folder: Path) -> None:
    update(folder / "config.json", vocab_size=319)


def tokenizer_is_an_lfs_pointer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("version https://git-lfs.github.com/spec/v1\n")


def mlx_weights(folder: Path) -> None:
    update(folder / "config.json", quantization={"group_size": 64, "bits": 4})


def cut_off_tokenizer(folder: Path) -> None:
    content = (folder / "tokenizer.json").read_bytes()
    (folder / "tokenizer.json").write_bytes(content[: len(content) // 2])


def added_tokens_of_a_wrong_type(folder: Path) -> None:
    update(folder / "tokenizer.json", added_tokens=[{"id": "1"}])


def post_processor_without_text(folder: Path) -> None:
    update(
        folder / "tokenizer.json",
        post_processor={
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<bos>", "type_id": 0}}],
            "pair": [],
            "special_tokens": {"<bos>": {"id": "<bos>", "ids": [1], "tokens": ["<bos>"]}},
        },
    )


def post_processor_of_nothing(folder: Path) -> None:
    update(folder / "tokenizer.json", post_processor={"type": "Nothing"})


def template_in_latin_1(folder: Path) -> None:
    (folder / "chat_template.jinja").write_bytes(b"\xe9")


def config_is_a_folder(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        (empty, ModelNotFound, "The folder is empty"),
        (lambda f: (f / "config.json").unlink(), ModelNotFound, "It has no config.json"),
        (lambda f: (f / "model.safetensors").unlink(), ModelNotFound, "no safetensors weights"),
        (only_pickles, UnsupportedModel, "only pickled weights (pytorch_model.bin)"),
        (quantized, UnsupportedModel, "quantization_config"),
        (no_tokenizer, ModelNotFound, "has no tokenizer"),
        (added_token_beyond_the_vocabulary, DamagedCheckpoint, "'<|im_end|>' has the id 4"),
        (vocabulary_larger_than_the_embedding, DamagedCheckpoint, "last token has the id 319"),
        (tokenizer_is_an_lfs_pointer, DamagedCheckpoint, "Git LFS pointer"),
        (mlx_weights, UnsupportedModel, "has the key quantization;"),
        (cut_off_tokenizer, DamagedCheckpoint, "tokenizer.json is cut off"),
        (added_tokens_of_a_wrong_type, DamagedCheckpoint, "malformed added_tokens"),
        (post_processor_of_nothing, DamagedCheckpoint, "an invalid post_processor"),
        (post_processor_without_text, DamagedCheckpoint, "It removes the text"),
        (template_in_latin_1, DamagedCheckpoint, "chat_template.jinja is not UTF-8"),
        (config_is_a_folder, DamagedCheckpoint, "config.json is not a file"),
    ],
)
def test_folders_that_are_refused(
    folder: Path, edit: Edit, error: type[LiteRtLmError], message: str
) -> None:
    edit(folder)
    with pytest.raises(error) as caught:
        open_checkpoint(folder)
    assert message in caught.value.what + caught.value.why


def test_a_special_token_beyond_the_vocabulary_that_nothing_uses(folder: Path) -> None:
    # Gemma 3's tokenizer has such a token for images; its text models have no row for it.
    content = json.loads((folder / "tokenizer.json").read_text())
    image = {**content["added_tokens"][0], "id": 320, "content": "<image_soft_token>"}
    update(folder / "tokenizer.json", added_tokens=[*content["added_tokens"], image])
    assert open_checkpoint(folder).config["vocab_size"] == 320


def test_the_vocabulary_of_a_multimodal_config(folder: Path) -> None:
    update(folder / "config.json", vocab_size=None, text_config={"vocab_size": 4})
    with pytest.raises(DamagedCheckpoint, match="vocabulary ends at 3"):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    ("in_post_processor", "config", "expected"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"add_bos_token": False}, False),
        (False, {"add_bos_token": True}, True),
        (True, {"add_eos_token": False}, False),  # transformers 5 then rebuilds the processor
        (False, {"add_bos_token": True, "bos_token": None}, False),
        (True, {"bos_token": "<eos>"}, False),  # what the text starts with is not BOS
    ],
)
def test_bos_is_what_encoding_really_adds(
    folder: Path, in_post_processor: bool, config: dict[str, Any], expected: bool
) -> None:
    (folder / "tokenizer.json").write_bytes(tokenizer_json(adds_bos=in_post_processor))
    assert opened_with(folder, **config).tokenizer.adds_bos is expected


def test_the_model_need_not_come_last_in_tokenizer_json(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    reordered = {key: content[key] for key in sorted(content, key=lambda k: k != "model")}
    (folder / "tokenizer.json").write_text(json.dumps(reordered))
    opened = open_checkpoint(folder)
    assert opened.tokenizer.adds_bos
    assert opened.tokenizer.eos_token_id == 4


def test_special_tokens_as_objects_and_from_the_old_file(folder: Path) -> None:
    opened = opened_with(folder, eos_token={"content": "<eos>", "special": True}, bos_token=None)
    assert (opened.tokenizer.eos_token_id, opened.tokenizer.bos_token_id) == (2, None)
    (folder / "special_tokens_map.json").write_text('{"bos_token": {"content": "<bos>"}}')
    assert open_checkpoint(folder).tokenizer.bos_token_id == 1


def test_a_special_token_that_is_not_an_added_one(folder: Path) -> None:
    assert opened_with(folder, eos_token="Z").tokenizer.eos_token_id is None
    update(folder / "config.json", eos_token_id=62)
    assert open_checkpoint(folder).tokenizer.eos_token_id == 62


def test_sentencepiece_alone(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.model").write_bytes(b"\n\x0b\n\x05<unk>")
    update(folder / "config.json", eos_token_id=2)
    tokenizer = opened_with(folder, bos_token="<s>").tokenizer
    assert tokenizer.json is None
    assert tokenizer.sentencepiece == b"\n\x0b\n\x05<unk>"
    assert (tokenizer.adds_bos, tokenizer.bos_token_id, tokenizer.eos_token_id) == (True, 1, 2)
    assert not opened_with(folder, add_bos_token=False).tokenizer.adds_bos


def test_chat_templates_in_order_of_precedence(folder: Path) -> None:
    named = [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]
    assert opened_with(folder, chat_template="C").tokenizer.chat_template == "C"
    assert opened_with(folder, chat_template=named).tokenizer.chat_template == "D"
    assert opened_with(folder, chat_template=named[:1]).tokenizer.chat_template is None
    (folder / "chat_template.json").write_text('{"chat_template": "J"}')
    assert open_checkpoint(folder).tokenizer.chat_template == "J"
    (folder / "chat_template.jinja").write_text("{{ 'ü' }}", encoding="utf-8")
    assert open_checkpoint(folder).tokenizer.chat_template == "{{ 'ü' }}"
