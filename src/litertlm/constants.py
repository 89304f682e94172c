"""Constants that several layers share."""

from __future__ import annotations

from typing import Final

DEFAULT_CONTEXT: Final = 1280
"""Tokens of the KV cache that a conversion records as the default context."""

# Files of a checkpoint, as Hugging Face names them.
CONFIG_FILE: Final = "config.json"
GENERATION_CONFIG_FILE: Final = "generation_config.json"
TOKENIZER_FILE: Final = "tokenizer.json"
SENTENCEPIECE_FILE: Final = "tokenizer.model"
TOKENIZER_CONFIG_FILE: Final = "tokenizer_config.json"
WEIGHTS_FILE: Final = "model.safetensors"
WEIGHTS_INDEX_FILE: Final = "model.safetensors.index.json"
SAFETENSORS_SUFFIX: Final = ".safetensors"
GGUF_SUFFIX: Final = ".gguf"

# Files of a LoRA adapter, as peft names them.
ADAPTER_CONFIG_FILE: Final = "adapter_config.json"
ADAPTER_WEIGHTS_FILE: Final = "adapter_model.safetensors"
