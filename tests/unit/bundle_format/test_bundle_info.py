"""A bundle's header and metadata, complete and damaged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import flatbuffers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litert_lm_builder import litertlm_core as core
from litert_lm_builder import litertlm_header_schema_py_generated as schema
from litert_lm_builder.runtime.proto import llm_metadata_pb2, llm_model_type_pb2

from litertlm.bundle import container
from litertlm.bundle.metadata import executor_metadata
from litertlm.bundle_format import constants
from litertlm.bundle_format.constants import EXECUTOR_METADATA, LLM_METADATA, TFLITE_MODEL
from litertlm.bundle_format.header import read_header, section_type
from litertlm.bundle_format.info import BundleInfo, SamplerDefaults, read_bundle_info
from litertlm.errors import DamagedBundle, ModelNotFound
from litertlm.graph.state import KVCache

SYSTEM = {"chat_template": "{{ messages }}", "shapes": "dynamic"}


def metadata() -> llm_metadata_pb2.LlmMetadata:
    message = llm_metadata_pb2.LlmMetadata()
    message.start_token.token_ids.ids.extend([300, 2])
    message.stop_tokens.add().token_ids.ids.append(7)
    message.stop_tokens.add().token_ids.ids.extend([8, 9])
    message.stop_tokens.add().token_str = "<end>"
    message.suppress_tokens.ids.extend([5, 300])
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
    payloads = [(LLM_METADATA, data, {}), (EXECUTOR_METADATA, executor, {})] + [
        (TFLITE_MODEL, b"TFL3", {"model_type": name}) for name in models
    ]
    sections = [container.Section(kind, len(part), items) for kind, part, items in payloads]
    placed = container.place(sections, SYSTEM)
    complete = bytearray(container.encode_header(placed, SYSTEM))
    for (_, part, _), section in zip(payloads, placed, strict=True):
        complete.extend(bytes(section.begin - len(complete)) + part)
    path.write_bytes(complete)
    return bytes(complete)


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("bundle") / "a.litertlm"
    return write_bundle(path, metadata().SerializeToString(), ("tf_lite_prefill_decode",))


def test_what_is_read(tmp_path: Path, complete: bytes) -> None:
    path = tmp_path / "a.litertlm"
    path.write_bytes(complete)
    info = read_bundle_info(path)
    assert info == BundleInfo(
        header=info.header,
        context=1280,
        longest_context=4096,
        template="{{ é }}",
        start_tokens=(300, 2),
        stop_tokens=(7, (8, 9), "<end>"),
        suppressed_tokens=(5, 300),
        sampler=SamplerDefaults("top_p", temperature=0.25, top_k=40, top_p=0.5),
        model_type="qwen3",
        thinking=True,
        tools=False,
        channels={"thought": ("<think>", "</think>")},
        affixes={"user": ("<user>", ""), "assistant": ("<model>", "<end>")},
    )
    assert info.properties == SYSTEM
    assert info.start_token_ids == (300, 2)
    assert info.models == ("tf_lite_prefill_decode",)
    assert info.tokenizer == "none"


def test_a_missing_section_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.litertlm"
    write_bundle(path, b"", ())
    with pytest.raises(DamagedBundle) as caught:
        read_bundle_info(path)
    assert "TFLite model" in caught.value.why


def test_values_of_all_types(tmp_path: Path) -> None:
    values = {
        "UInt8": 200, "Int8": -3, "UInt16": 60_000, "Int16": -5, "UInt32": 1 << 31, "Int32": -7,
        "Float32": 0.5, "Bool": True, "UInt64": 1 << 63, "Int64": -9, "Double": 0.1,
    }  # fmt: skip
    entries = []
    for name, value in values.items():
        stored = getattr(schema, f"{name}T")(value)
        kind = getattr(schema.VData, name)
        entries.append(schema.KeyValuePairT(key=name, value=stored, valueType=kind))
    section = schema.SectionObjectT(dataType=77, beginOffset=16384, endOffset=16384)
    tree = schema.LiteRTLMMetaDataT(
        systemMetadata=schema.SystemMetadataT(entries=entries),
        sectionMetadata=schema.SectionMetadataT(objects=[section]),
    )
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder))
    packed = bytes(builder.Output())
    head = constants.MAGIC + bytes(constants.HEADER_END_AT - len(constants.MAGIC))
    path = tmp_path / "a.litertlm"
    path.write_bytes((head + (32 + len(packed)).to_bytes(8, "little") + packed).ljust(16384, b"\0"))
    header = read_header(path)
    assert header.system == values
    (unknown,) = header.sections
    assert section_type(unknown.kind) == 77


def test_constants_are_those_of_the_builder() -> None:
    types = vars(schema.AnySectionDataType)
    assert {n: v for n, v in types.items() if not n.startswith("_")} == constants.SECTION_TYPES
    fields = llm_model_type_pb2.LlmModelType.DESCRIPTOR.fields
    assert {field.number: field.name for field in fields} == constants.MODEL_TYPES
    assert constants.MAGIC == core.HEADER_MAGIC_BYTES
    assert constants.HEADER_BEGIN == core.HEADER_BEGIN_BYTE_OFFSET
    assert constants.HEADER_END_AT == core.HEADER_END_LOCATION_BYTE_OFFSET
    assert constants.SECTION_ALIGNMENT == core.BLOCK_SIZE
    assert constants.VERSION == (
        core.LITERTLM_MAJOR_VERSION,
        core.LITERTLM_MINOR_VERSION,
        core.LITERTLM_PATCH_VERSION,
    )


def test_the_reader_imports_nothing_heavy() -> None:
    code = (
        "import sys, litertlm.bundle_format.info as info\n"
        "heavy = {'flatbuffers', 'google.protobuf', 'litert_lm_builder', 'numpy'}\n"
        "print(heavy & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"


def test_images_and_audio(tmp_path: Path) -> None:
    path = tmp_path / "a.litertlm"
    write_bundle(path, b"", ("tf_lite_prefill_decode", "tf_lite_vision_encoder"))
    info = read_bundle_info(path)
    assert (info.images, info.audio) == (True, False)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"a\.litertlm"):
        read_bundle_info(tmp_path / "a.litertlm")


@pytest.mark.parametrize("length", [0, 7, 31, 40, 200, 17000])
def test_a_cut_file_is_damaged(tmp_path: Path, complete: bytes, length: int) -> None:
    path = tmp_path / "a.litertlm"
    path.write_bytes(complete[:length])
    with pytest.raises(DamagedBundle, match="damaged") as caught:
        read_bundle_info(path)
    assert caught.value.why
    assert caught.value.hint


@settings(max_examples=150)
@given(place=st.integers(0, 900), value=st.integers(0, 255), in_metadata=st.booleans())
def test_a_changed_byte_never_crashes(
    tmp_path_factory: pytest.TempPathFactory,
    complete: bytes,
    place: int,
    value: int,
    in_metadata: bool,
) -> None:
    path = tmp_path_factory.mktemp("bundle") / "a.litertlm"
    data = bytearray(complete)
    data[16384 + place % 200 if in_metadata else place] = value
    path.write_bytes(data)
    try:
        outcome: object = read_bundle_info(path)
    except DamagedBundle as error:
        outcome = error.why
    assert isinstance(outcome, (BundleInfo, str))
    assert outcome
