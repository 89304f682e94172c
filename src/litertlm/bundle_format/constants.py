"""Constants of the `.litertlm` format, version 1.7.

Source: google-ai-edge/LiteRT-LM, schema/core/litertlm_header_schema.fbs and
runtime/proto/llm_model_type.proto. A test compares them with litert-lm-builder's.
"""

from __future__ import annotations

MAGIC = b"LITERTLM"
HEADER_END_AT = 24  # offset of the header's end, a uint64
HEADER_BEGIN = 32
SECTION_ALIGNMENT = 1 << 14  # the runtime maps sections into memory
VERSION = (1, 7, 0)

TFLITE_MODEL = "TFLiteModel"
SENTENCEPIECE = "SP_Tokenizer"
LLM_METADATA = "LlmMetadataProto"
HF_TOKENIZER = "HF_Tokenizer_Zlib"
EXECUTOR_METADATA = "ExecutorMetadataProto"

SECTION_TYPES = {
    "NONE": 0,
    "GenericBinaryData": 1,
    "Deprecated": 2,
    TFLITE_MODEL: 3,
    SENTENCEPIECE: 4,
    LLM_METADATA: 5,
    HF_TOKENIZER: 6,
    "TFLiteWeights": 7,
    "EmbeddingMetadataProto": 8,
    EXECUTOR_METADATA: 9,
    "TtsMetadataProto": 10,
    "AsrMetadataProto": 11,
}
"""AnySectionDataType: the number of each kind of section."""

TOKENIZER_NAMES = {HF_TOKENIZER: "huggingface", SENTENCEPIECE: "sentencepiece"}

MODEL_TYPES = {
    1: "generic_model",
    2: "gemma3n",
    3: "function_gemma",
    4: "gemma3",
    5: "qwen3",
    7: "qwen2p5",
    8: "gemma4",
    9: "fast_vlm",
    11: "lfm2",
    12: "minicpm5",
    13: "minicpmv4",
}
"""LlmModelType: the name of each field."""
