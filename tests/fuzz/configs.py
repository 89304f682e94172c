"""Configurations changed to other values, with the weights that fit them or those of before.

A case is a pure function of (seed, number), as in targets.py. `compare_configs.py` computes each
with transformers and with this program.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tiny import MODELS
from tiny.tokenizer import VOCAB_SIZE

FULL, SLIDING = "full_attention", "sliding_attention"
# generation_config.json of the tiny checkpoints.
GENERATION: Mapping[str, Any] = {"bos_token_id": 1, "eos_token_id": [2, 4]}
# What a checkpoint holds: the tensors that transformers saves for the config, those of the config
# before the change, or the former with a head of its own where the config ties it.
WEIGHTS = ("fitting", "before", "fitting and head")


@dataclass(frozen=True)
class ConfigCase:
    """A checkpoint with a changed configuration.

    Attributes:
        base: key in tiny.MODELS.
        config, generation: config.json and generation_config.json.
        weights: one of WEIGHTS.
        changed: keys that were set, changed or removed, inner ones as `outer/inner`.
    """

    base: str
    config: Mapping[str, Any]
    generation: Mapping[str, Any]
    weights: str
    changed: tuple[str, ...]


def make_config_case(
    seed: int, number: int, keys_of: Mapping[str, Mapping[str, Any]]
) -> ConfigCase:
    """Case `number`.

    Args:
        keys_of: `model_type` to the keys, with defaults, of transformers' config class.
    """
    rng = random.Random(f"{seed}/configs/{number}")
    model = MODELS[rng.choice(list(MODELS))]
    config = json.loads(json.dumps(model.config))
    text = config.get("text_config", config)
    prefix = "text_config/" if text is not config else ""
    generation = dict(GENERATION)
    known = keys_of[text["model_type"]]
    changed = []
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        kind = rng.random()
        if kind < 0.06:
            key = rng.choice(("eos_token_id", "bos_token_id", "eos_token_id"))
            place, where = rng.choice(((generation, "generation/"), (text, prefix), (config, "")))
            place[key] = rng.choice(TOKEN_IDS)
            changed.append(where + key)
            continue
        key = rng.choice(_keys(text, known) if kind < 0.75 else IMPORTANT)
        if rng.random() < 0.08 and key in text:
            del text[key]
        else:
            text[key] = new_value(rng, key, text, known.get(key, text.get(key)))
        changed.append(prefix + key)
    weights = rng.choice(("fitting", "fitting", "before", "before", "fitting and head"))
    return ConfigCase(model.name, config, generation, weights, tuple(dict.fromkeys(changed)))


def restated(case: ConfigCase, keys_of: Mapping[str, Mapping[str, Any]]) -> ConfigCase | None:
    """The same configuration in the types that transformers' config classes insist on, or None.

    They refuse an integer where a number is meant, which JSON does not distinguish; many of them a
    null, which stands for an absent key in files of earlier versions; and a padding token,
    theirs or the config's, that a table has no row for, and that no text has. None of these changes
    what a checkpoint means, so it is compared with what transformers computes without it.
    """
    config = json.loads(json.dumps(case.config))
    text = config.get("text_config", config)
    known = keys_of[text["model_type"]] if text.get("model_type") in keys_of else {}
    for key in map(leaf, case.changed):
        if key in text and text[key] is None:
            del text[key]
        elif type(text.get(key)) is int and type(known.get(key)) is float:
            text[key] = float(text[key])
    text["pad_token_id"] = 0
    # Compared as texts, since 1 == 1.0.
    same = json.dumps(config) == json.dumps(case.config)
    return None if same else replace(case, config=config)


def leaf(key: str) -> str:
    """The innermost part of a changed key."""
    return key.rpartition("/")[2]


# Keys that change a result nearly always, in one family or another.
IMPORTANT = (
    *(
        "rope_scaling",
        "rope_parameters",
        "rope_theta",
        "sliding_window",
        "layer_types",
        "is_causal",
    ),
    *("hidden_act", "hidden_activation", "rms_norm_eps", "tie_word_embeddings", "attention_bias"),
    *("head_dim", "num_key_value_heads", "use_sliding_window", "max_window_layers", "mlp_bias"),
    *("no_rope_layers", "no_rope_layer_interval", "sliding_window_pattern", "rope_local_base_freq"),
    *("query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping"),
    *("partial_rotary_factor", "original_max_position_embeddings", "max_position_embeddings"),
    *("use_bidirectional_attention", "attention_multiplier", "residual_multiplier"),
    *("embedding_multiplier", "logits_scaling", "pretraining_tp", "attention_dropout"),
    *("_sliding_window_pattern", "use_qk_norm", "qk_norm", "clip_qkv", "rope_type"),
)
# Keys of transformers that say how it runs or what it returns.
_OTHER = (
    *("transformers_version", "_name_or_path", "model_type", "id2label", "label2id"),
    *("return_dict", "output_hidden_states", "output_attentions", "problem_type", "use_cache"),
)


def _keys(text: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    return sorted({*text, *known}.difference(_OTHER))


TOKEN_IDS: tuple[Any, ...] = (
    *(0, 3, 5, 24, VOCAB_SIZE - 1, VOCAB_SIZE, 100_000, 2**31, 2**40, -1, None),
    *("24", "2", "", "<eos>", 2.0, 2.5, True, False, float("nan"), {"a": 2}, [], [2], [2, 4, 7]),
    *([2, "4"], [[2]], [None], [2, 2.0], [2, 10**6], [True]),
)
_NUMBERS = {
    "rms_norm_eps": (1e-6, 1e-3, 0.1, 0.0, 1, -1, -1e-6),
    "rope_theta": (100.0, 10_000, 1e6, 1.0, 0.5),
    "rope_local_base_freq": (100.0, 5000),
    "sliding_window": (None, 1, 4, 11, 12, 13, 4096, 0, -1),
    "head_dim": (None, 8, 16, 24, 32, 64, 7),
    "hidden_size": (32, 48, 64, 96, 60),
    "intermediate_size": (32, 96, 97, 128),
    "num_hidden_layers": (1, 2, 3, 4, 0),
    "num_attention_heads": (1, 2, 3, 4, 8),
    "num_key_value_heads": (None, 1, 2, 3, 4, 8),
    "max_position_embeddings": (8, 16, 64, 2048, 131_072),
    "original_max_position_embeddings": (8, 64, 1024, 4096),
    "vocab_size": (VOCAB_SIZE, VOCAB_SIZE - 8, VOCAB_SIZE + 8, 512),
    "max_window_layers": (0, 1, 2, 3, 28, -1),
    "no_rope_layer_interval": (1, 2, 3, 4, 0),
    "sliding_window_pattern": (1, 2, 3, 6, None),
    "_sliding_window_pattern": (1, 2, 3, 6),
    "query_pre_attn_scalar": (1, 8, 16, 64, 256, 2.5, 0, -4),
    "attn_logit_softcapping": (None, 1.0, 5.0, 50.0, 0.0, -3.0),
    "final_logit_softcapping": (None, 1.0, 5.0, 30.0, 0.0, -3.0),
    "partial_rotary_factor": (0.25, 0.5, 0.75, 1.0, 0.3, 0.0, 1.5),
    "attention_multiplier": (0.01, 0.125, 1.0, 0.0, -0.5),
    "residual_multiplier": (0.1, 0.5, 1.0, 0.0, -1.0),
    "embedding_multiplier": (0.5, 1.0, 4.0, 0.0, -1.0),
    "logits_scaling": (0.5, 1.0, 8.0, -2.0),
    "attention_dropout": (0.0, 0.1, 0.9),
    "pretraining_tp": (1, 2, 4),
    "pad_token_id": (None, 0, 3, VOCAB_SIZE - 1, VOCAB_SIZE, -1),
    "dtype": ("float32", "bfloat16", "float16"),
    "torch_dtype": ("float32", "bfloat16", "float16"),
    "hidden_act": ("silu", "gelu", "gelu_pytorch_tanh", "gelu_new", "relu", "swish", "relu2"),
    "use_bidirectional_attention": (True, False, None, "all", "vision"),
    "architectures": (None, [], ["LlamaForSequenceClassification"], ["GemmaForCausalLM"]),
    "is_causal": (True, False),
    "clip_qkv": (None, 0.5),
}
_NUMBERS["hidden_activation"] = (*_NUMBERS["hidden_act"], None)  # type: ignore[arg-type]


def new_value(rng: random.Random, key: str, text: Mapping[str, Any], old: Any) -> Any:
    """Another value for a key of the text config; mostly a valid one."""
    if key in ("rope_scaling", "rope_parameters"):
        return _rope(rng, text)
    layers = text.get("num_hidden_layers", 2)
    if key == "layer_types":
        length = max(0, layers + rng.choice((0, 0, 0, 1, -1)))
        kinds = (FULL, SLIDING) if rng.random() < 0.9 else (FULL, "chunked_attention")
        return rng.choice((None, [rng.choice(kinds) for _ in range(length)]))
    if key == "no_rope_layers":
        length = max(0, layers + rng.choice((0, 0, 1, -1)))
        return rng.choice((None, [], [rng.randrange(2) for _ in range(length)]))
    values: Sequence[Any] | None = _NUMBERS.get(key)
    if values is not None:
        return rng.choice(values)
    if isinstance(old, bool):
        return not old
    if isinstance(old, int):
        return rng.choice((old + 1, max(1, old - 1), 1, 2))
    if isinstance(old, float):
        return rng.choice((old * 2, old / 2, 1.0, 0.0))
    return rng.choice((True, False, None, 1, 2, 0.5))


def _rope(rng: random.Random, text: Mapping[str, Any]) -> Any:
    if rng.random() < 0.1:
        return None
    if rng.random() < (0.6 if "layer_types" in text else 0.1):
        return {kind: _rope_of_layers(rng, text) for kind in (FULL, SLIDING)}
    return _rope_of_layers(rng, text)


def _rope_of_layers(rng: random.Random, text: Mapping[str, Any]) -> dict[str, Any]:
    kinds = ("default", "linear", "dynamic", "yarn", "llama3", "longrope", "proportional")
    kind = rng.choice(kinds)
    # The keys may have been removed or changed before.
    hidden, heads = text.get("hidden_size"), text.get("num_attention_heads")
    computed = (
        hidden // heads if isinstance(hidden, int) and isinstance(heads, int) and heads else 16
    )
    head_dim = text.get("head_dim") or computed
    made: dict[str, Any] = {rng.choice(("rope_type", "rope_type", "type")): kind}
    if rng.random() < 0.7:
        made["rope_theta"] = rng.choice((100.0, 10_000.0, 1e6))
    if kind != "default" or rng.random() < 0.1:
        made["factor"] = rng.choice((1.0, 2.0, 4.0, 8.0, 0.5))
    if kind in ("yarn", "llama3", "longrope", "dynamic") and rng.random() < 0.85:
        made["original_max_position_embeddings"] = rng.choice((8, 16, 64, 1024))
    if kind == "llama3":
        made |= {"low_freq_factor": 1.0, "high_freq_factor": rng.choice((4.0, 2.0))}
    if kind == "yarn":
        for name, values in {
            "beta_fast": (32.0, 4.0),
            "beta_slow": (1.0, 2.0),
            "attention_factor": (1.0, 1.25),
            "mscale": (1.0, 0.7),
            "mscale_all_dim": (1.0, 0.8),
            "truncate": (True, False),
        }.items():
            if rng.random() < 0.3:
                made[name] = rng.choice(values)
    if kind == "longrope":
        pairs = max(1, head_dim // 2)
        made["short_factor"] = [1.0 + 0.1 * i for i in range(pairs)]
        made["long_factor"] = [1.0 + 0.3 * i for i in range(pairs)]
        if rng.random() < 0.3:
            made["attention_factor"] = 1.3
    if rng.random() < 0.1:
        made["partial_rotary_factor"] = rng.choice((0.5, 1.0))
    return made
