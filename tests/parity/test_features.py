"""The goldens would notice if a config key were overlooked.

Each case changes one key of a tiny model's config.json; the converted model must then compute
something else than transformers did with the original. A case that fails means that the tiny
model does not exercise that feature.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity.bundle import Decoder, convert_folder
from parity.golden import DECODED, PROMPT_LENGTHS, load_golden
from parity.test_logits import FLOAT_TOLERANCE
from tiny import MODELS, change_config, write_checkpoint

CHANGES: list[tuple[str, str, Any]] = [
    ("llama-gqa-tied", "rms_norm_eps", 1e-4),
    ("llama-bias-untied-linear", "rope_scaling", None),
    ("llama-llama3-f16-sharded", "rope_parameters/rope_type", "default"),
    ("llama-llama3-f16-sharded", "rope_parameters/high_freq_factor", 3.0),
    ("llama-llama3-f16-sharded", "rope_parameters/low_freq_factor", 2.0),
    ("llama-yarn-gelu", "rope_scaling/beta_fast", 32.0),
    ("llama-yarn-gelu", "rope_scaling/beta_slow", 2.0),
    ("llama-yarn-gelu", "rope_scaling/factor", 4.1),
    ("llama-yarn-gelu", "hidden_act", "gelu_new"),
    ("qwen3-sliding-yarn-untied", "max_window_layers", 2),
    ("qwen3-sliding-yarn-untied", "sliding_window", 13),
    ("qwen3-sliding-yarn-untied", "rope_scaling/attention_factor", 1.2),
    ("gemma3_text-pattern-linear", "rope_scaling", None),
    ("gemma3_text-pattern-linear", "rope_local_base_freq", 9000.0),
    ("gemma3_text-pattern-linear", "sliding_window", 11),
    ("gemma3_text-pattern-linear", "sliding_window_pattern", 2),
    ("gemma3_text-pattern-linear", "query_pre_attn_scalar", 23),
    ("gemma3_text-types-softcap", "final_logit_softcapping", None),
    ("gemma3_text-types-softcap", "rope_parameters/full_attention/rope_theta", 9e4),
    ("gemma3-vision", "text_config/rope_scaling", None),
    ("gemma3-vision", "text_config/sliding_window_pattern", 3),
    ("gemma3-vision-renamed", "text_config/rope_parameters/full_attention/factor", 4.0),
    ("qwen2-bias-tied", "use_sliding_window", True),
    ("qwen2-sliding-untied", "use_sliding_window", False),
    ("mistral-window-untied", "sliding_window", None),
    ("gemma2-softcaps", "attn_logit_softcapping", None),
    ("gemma2-softcaps", "final_logit_softcapping", None),
    ("gemma2-softcaps", "sliding_window", 11),
    ("gemma2-types-uncapped", "layer_types", None),
    ("smollm3-nope-tied", "no_rope_layer_interval", 3),
    ("smollm3-sliding-bias-untied", "no_rope_layers", [0, 1, 1]),
    ("smollm3-sliding-bias-untied", "sliding_window", 11),
    ("granite-multipliers-tied", "embedding_multiplier", 3.1),
    ("granite-multipliers-tied", "attention_multiplier", 0.13),
    ("granite-multipliers-tied", "residual_multiplier", 0.91),
    ("granite-multipliers-tied", "logits_scaling", 0.76),
    ("phi3-window-untied", "sliding_window", 11),
    ("phi3-partial-longrope-tied", "rope_scaling/factor", 1.0),
    ("phi3-partial-longrope-tied", "rope_theta", 11000.0),
]


@pytest.mark.parametrize(("name", "key", "value"), CHANGES)
def test_golden_depends_on(name: str, key: str, value: object, tmp_path: Path) -> None:
    golden = load_golden(name)
    source = write_checkpoint(MODELS[name], tmp_path / "checkpoint", chat_template=None)
    change_config(source, {key: value})
    prompt = PROMPT_LENGTHS[-1]
    logits = Decoder(convert_folder(source)).logits(golden.tokens[: prompt + DECODED], prompt)
    want = np.stack([golden.after(prompt - 1 + i) for i in range(DECODED + 1)])
    assert np.abs(logits - want).max() > 2 * FLOAT_TOLERANCE * np.abs(golden.logits).max()
