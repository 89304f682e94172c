"""A bundle's header and metadata, whole and damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litert_lm_builder.runtime.proto import llm_metadata_pb2

from litertlm.bundle import container
from litertlm.bundle.metadata import executor_metadata
from litertlm.errors import DamagedBundle, ModelNotFound
from litertlm.graph.state import KVCache
from litertlm.runtime.bundle_info import BundleInfo, SamplerDefaults, read_bundle_info

SYSTEM = {"chat_template": "{{ messages }}", "shapes": "dynamic"}


def metadata() -> llm_metadata_pb2.LlmMetadata:
    message = llm_metadata_pb2.LlmMetadata()
    message.start_token.token_ids.ids.extend([300, 2])
    message.stop_tokens.add().token_ids.ids.append(7)
    message.sampler_params.type = 2
    message.sampler_params.k = 40
    message.sampler_params.p = 0.5
    message.sampler_params.temperature = 0.25
    message.max_num_tokens = 1280
    message.llm_model_type.qwen3.SetInParent()
    message.jinja_prompt_template = "{{ é }}"
    message.supports_thinking = True
    channel = message.channels.add()
    channel.channel_name, channel.start, channel.end = "thought", "<think>", "</think>"
    message.prompt_templates.user.prefix = "<user>"
    message.prompt_templates.model.prefix = "<model>"
    message.prompt_templates.model.suffix = "<end>"
    return message


def write_bundle(path: Path, data: bytes, models: tuple[str, ...]) -> bytes:
    """A bundle without weights."""
    executor = executor_metadata([[KVCache(1, 8)]], cache_length=None, max_context=4096)
    payloads = [(container.LLM_METADATA, data, {}), (container.EXECUTOR_METADATA, executor, {})] + [
        (container.TFLITE_MODEL, b"TFL3", {"model_type": name}) for name in models
    ]
    sections = [container.Section(kind, len(part), items) for kind, part, items in payloads]
    placed = container.place(sections, SYSTEM)
    whole = bytearray(container.encode_header(placed, SYSTEM))
    for (_, part, _), section in zip(payloads, placed, strict=True):
        whole.extend(bytes(section.begin - len(whole)) + part)
    path.write_bytes(whole)
    return bytes(whole)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("bundle") / "a.litertlm"
    return write_bundle(path, metadata().SerializeToString(), ("tf_lite_prefill_decode",))


def test_what_is_read(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "a.litertlm"
    path.write_bytes(whole)
    assert read_bundle_info(path) == BundleInfo(
        context=1280,
        longest_context=4096,
        template="{{ é }}",
        properties=SYSTEM,
        start_token_ids=(300, 2),
        sampler=SamplerDefaults(greedy=False, temperature=0.25, top_k=40, top_p=0.5),
        model_type="qwen3",
        thinking=True,
        tools=False,
        channels=(("<think>", "</think>"),),
        affixes={"user": ("<user>", ""), "assistant": ("<model>", "<end>")},
        models=("tf_lite_prefill_decode",),
    )


def test_images_and_audio(tmp_path: Path) -> None:
    path = tmp_path / "a.litertlm"
    write_bundle(path, b"", ("tf_lite_prefill_decode", "tf_lite_vision_encoder"))
    info = read_bundle_info(path)
    assert (info.images, info.audio) == (True, False)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"a\.litertlm"):
        read_bundle_info(tmp_path / "a.litertlm")


@pytest.mark.parametrize("length", [0, 7, 31, 40, 200, 17000])
def test_a_cut_file_is_damaged(tmp_path: Path, whole: bytes, length: int) -> None:
    path = tmp_path / "a.litertlm"
    path.write_bytes(whole[:length])
    with pytest.raises(DamagedBundle, match="damaged") as caught:
        read_bundle_info(path)
    assert caught.value.why
    assert caught.value.hint


@settings(max_examples=150)
@given(place=st.integers(0, 900), value=st.integers(0, 255), in_metadata=st.booleans())
def test_a_changed_byte_never_crashes(
    tmp_path_factory: pytest.TempPathFactory,
    whole: bytes,
    place: int,
    value: int,
    in_metadata: bool,
) -> None:
    path = tmp_path_factory.mktemp("bundle") / "a.litertlm"
    data = bytearray(whole)
    data[16384 + place % 200 if in_metadata else place] = value
    path.write_bytes(data)
    try:
        outcome: object = read_bundle_info(path)
    except DamagedBundle as error:
        outcome = error.why
    assert isinstance(outcome, (BundleInfo, str))
    assert outcome
