"""InternLM 3 (8B): Llama with its own defaults and other names of the keys for biases.

transformers/models/internlm3/configuration_internlm3.py; the model is transformers' Llama.
"""

from __future__ import annotations

from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import read_decoder
from litertlm.families.llama import Config, decoder
from litertlm.families.rope import read_rope

__all__ = ["Config", "decoder", "read_config"]


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(
        head_dim=128, num_key_value_heads=2, rms_norm_eps=1e-5, max_position_embeddings=32768
    )
    common = read_decoder(c)
    if common["hidden_size"] % common["num_attention_heads"]:
        raise c.unsupported("num_attention_heads", "does not divide the hidden size")
    attention_bias = c.flag("qkv_bias", c.flag("attention_bias"))
    mlp_bias = c.flag("bias", c.flag("mlp_bias"))
    if attention_bias != mlp_bias:
        raise c.unsupported("qkv_bias", f"is {attention_bias}, and bias is {mlp_bias}")
    return Config(
        **common,
        attention_bias=attention_bias,
        mlp_bias=mlp_bias,
        rope=read_rope(c, common["head_dim"]),
    )
