"""BOS comes once, and is counted, whoever writes it: the template or the runtime."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tokenizers import Tokenizer

from fidelity import gemma_like
from fidelity.cases import template_text
from litertlm.runtime.engine import Decoding
from litertlm.services.chat.chat import Chat, ChatOptions
from litertlm.services.chat.load import LoadedModel, load_model
from litertlm.services.chat.options import RunOptions
from litertlm.services.convert.conversion import convert
from litertlm.services.convert.options import ConvertOptions
from recorder import Recorder
from tiny.checkpoint import write_checkpoint
from tiny.models import MODELS

QUESTION = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module", params=["tokenizer.json", "sentencepiece"])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LoadedModel, Tokenizer]]:
    """A model whose chat template writes `<bos>`, and its reference tokenizer."""
    home = tmp_path_factory.mktemp("bos")
    tiny = MODELS["llama-gqa-tied"]
    sentencepiece = request.param == "sentencepiece"
    if sentencepiece:
        tiny = gemma_like.with_vocabulary(tiny)
    folder = write_checkpoint(tiny, home / "checkpoint", chat_template=template_text("gemma3"))
    if sentencepiece:
        gemma_like.write_tokenizer(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "bos_token": "<bos>"}))
    bundle = home / "tiny.litertlm"
    options = ConvertOptions(recipe="none", kv_cache_max_len=256)
    convert(folder, bundle, options, progress=Recorder())
    loaded = load_model("tiny", bundle, home, RunOptions(), progress=Recorder())
    yield loaded, Tokenizer.from_file(str(folder / "tokenizer.json"))
    loaded.engine.close()


def said(model: LoadedModel, text: str, **more: object) -> str:
    session = model.engine.open_session(Decoding(max_tokens=12, **more))  # type: ignore[arg-type]
    answer = "".join(session.generate(text))
    session.close()
    return answer


@pytest.mark.parametrize("more", [{}, {"repetition_penalty": 1.01}])
def test_it_comes_once(model: tuple[LoadedModel, Tokenizer], more: dict[str, object]) -> None:
    loaded, _ = model
    prompt = loaded.render(QUESTION)
    assert prompt.startswith("<bos><start_of_turn>user\nHi")
    assert said(loaded, prompt, **more) == said(loaded, prompt.removeprefix("<bos>"), **more)
    assert said(loaded, prompt, **more) != said(loaded, "<bos>" + prompt, **more)


@pytest.mark.parametrize("written", [True, False])
def test_it_is_counted(model: tuple[LoadedModel, Tokenizer], written: bool) -> None:
    loaded, tokenizer = model
    whole = loaded.render(QUESTION)
    text = whole if written else whole.removeprefix("<bos>")
    options = ChatOptions(decoding=Decoding(max_tokens=2))
    chat = Chat(loaded.engine, lambda messages, **more: text, options, notice=print)
    chat.say("Hi")
    list(chat.proceed())
    chat.close()
    assert chat.last is not None
    ids = tokenizer.encode(whole, add_special_tokens=False).ids
    assert chat.last.prompt_tokens == chat.used_tokens() == len(ids)
