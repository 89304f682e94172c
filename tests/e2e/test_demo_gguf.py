"""The demo model's GGUF file, read by us and by the package `gguf`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import gguf
import numpy as np
from gguf.quants import dequantize
from tokenizers import Tokenizer

from litertlm.checkpoint import open_checkpoint

# llama.cpp names a byte-level tokenizer `smollm` if it gives this text the ids with this hash
# (https://github.com/ggml-org/llama.cpp/blob/master/conversion/base.py, get_vocab_base_pre).
TEXT = (
    "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n🚀 (normal) 😶\u200d🌫️ (multiple emojis "
    "concatenated) ✅ 🦙🦙 3 33 333 3333 33333 333333 3333333 33333333 3.3 3..3 3...3 "
    "កាន់តែពិសេសអាច😁 ?我想在apple工作1314151天～ ------======= нещо на Български "
    "''''''```````\"\"\"\"......!!!!!!?????? I've been 'told he's there, 'RE you sure? "
    "'M not sure I'll make it, 'D you like some tea? We'Ve a'lL"
)
HASH = "855059429035d75a914d1eda9f10a876752e281a054a7a3d421ef0533e5b6249"


def test_the_ids_are_those_of_the_original_tokenizer(demo_gguf: Path) -> None:
    content = open_checkpoint(demo_gguf).tokenizer.json
    assert content is not None
    ids = Tokenizer.from_buffer(content).encode(TEXT).ids
    assert hashlib.sha256(str(ids).encode()).hexdigest() == HASH


def test_config_and_tokenizer_settings(demo_gguf: Path) -> None:
    opened = open_checkpoint(demo_gguf)
    # https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct/blob/main/config.json
    expected = {
        "model_type": "llama", "hidden_size": 576, "intermediate_size": 1536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "head_dim": 64, "vocab_size": 49152, "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-05, "rope_theta": 100000, "tie_word_embeddings": True,
        "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
    }  # fmt: skip
    assert {key: opened.config[key] for key in expected} == expected
    assert "rope_scaling" not in opened.config
    assert not opened.tokenizer.adds_bos
    assert (opened.tokenizer.bos_token_id, opened.tokenizer.eos_token_id) == (1, 2)
    assert "<|im_start|>" in str(opened.tokenizer.chat_template)


def test_every_tensor(demo_gguf: Path) -> None:
    opened = open_checkpoint(demo_gguf)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 30)
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(demo_gguf).tensors}
    assert len(opened.tensors) == len(stored) == 272
    for name, tensor in opened.tensors.items():
        source = stored[names.get_name(name, (".weight",)) or ""]
        rows = tensor.shape[0]
        # All of a layer's weights, but only the ends of the embeddings, which take seconds.
        for start, stop in ((0, min(rows, 2048)), (max(0, rows - 2048), rows)):
            values = dequantize(source.data[start:stop], source.tensor_type)
            if name.endswith(("q_proj.weight", "k_proj.weight")):  # llama.cpp interleaved halves
                values = values.reshape(-1, 32, 2, 576).swapaxes(1, 2).reshape(tensor.shape)
            np.testing.assert_array_equal(tensor.rows(start, stop), values, strict=True)
            if rows <= 2048:
                break
