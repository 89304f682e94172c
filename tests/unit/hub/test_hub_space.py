"""The sizes that are computed before a download equal those of real files."""

from dataclasses import replace

import pytest

from litertlm.families import identify
from litertlm.hub.info import RepoFile
from litertlm.services.acquire.space import bundle_sizes, checkpoint_sizes, gguf_sizes
from litertlm.services.convert.options import ConvertOptions

# Qwen/Qwen3-0.6B on the Hub: one BF16 file, its size in bytes, and its config.json.
QWEN_BYTES = 1_503_300_328
QWEN_CONFIG = {
    "model_type": "qwen3",
    "torch_dtype": "bfloat16",
    "hidden_act": "silu",
    "intermediate_size": 3072,
    "max_position_embeddings": 40960,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1_000_000,
    "tie_word_embeddings": True,
    "vocab_size": 151_936,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "hidden_size": 1024,
}


def qwen(recipe="dynamic_int8", length=1280, **more):
    options = replace(ConvertOptions(), recipe=recipe, kv_cache_max_len=length)
    files = [RepoFile("model.safetensors", QWEN_BYTES, None, None)]
    files.append(RepoFile("tokenizer.json", 11_422_654, None, None))
    config = {**QWEN_CONFIG, **more}
    return checkpoint_sizes(files, config, identify(config), options)


@pytest.mark.parametrize(
    ("recipe", "share"),
    [("dynamic_int8", 0.5), ("int8", 0.5), ("fp16", 1), ("none", 2), ("dynamic_int4", 0.28125)],
)
def test_bundle_of_a_checkpoint(recipe, share):
    assert qwen(recipe).new_bundle == round(QWEN_BYTES * share)
    assert qwen(recipe).cache == qwen(recipe).new_bundle


def test_float32_checkpoint_has_half_as_many_weights():
    assert qwen(torch_dtype="float32").new_bundle == round(QWEN_BYTES / 4)
    assert qwen(dtype="float32").new_bundle == round(QWEN_BYTES / 4)


def test_quantized_checkpoint_has_more_weights_than_its_bytes():
    embeddings = 151_936 * 1024
    section = {"quant_method": "gptq", "bits": 4}
    parameters = embeddings + (QWEN_BYTES - 2 * embeddings) * 8 / 4.5
    assert qwen(quantization_config=section).new_bundle == round(parameters)


def test_memory_grows_with_the_context():
    per_token = 28 * 8 * 128 * 2 * 4  # layers, heads, width, keys and values, float32
    assert qwen(length=4096).memory - qwen(length=1280).memory == (4096 - 1280) * per_token


def test_the_cache_is_no_longer_than_the_model():
    short = qwen(max_position_embeddings=512)
    assert short == qwen(length=512, max_position_embeddings=512)
    assert short.memory < qwen().memory


@pytest.mark.parametrize(
    ("name", "nbytes", "parameters"),
    [  # files of SmolLM2-135M-Instruct (134.5 million weights) and Qwen3-0.6B (596 million)
        ("SmolLM2-135M-Instruct-F16.gguf", 270_885_728, 134.5e6),
        ("SmolLM2-135M-Instruct-Q8_0.gguf", 144_811_360, 134.5e6),
        ("Qwen3-0.6B-Q8_0.gguf", 639_446_688, 596e6),
    ],
)
def test_bundle_of_a_gguf_file(name, nbytes, parameters):
    made = gguf_sizes(name, nbytes, ConvertOptions()).new_bundle
    assert made == pytest.approx(parameters, rel=0.03)


def test_ready_bundle():
    sizes = bundle_sizes(304_005_120)
    assert sizes.new_bundle == 0
    assert sizes.cache == 304_005_120
