"""The cases of each target: which files of a base are replaced, and by what."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzz import bases, templates
from fuzz.bases import base_files, bundle_parts
from fuzz.gguf_parts import mutate_parts, put_together, take_apart
from fuzz.mutate import TEXTS, json_bytes, mutate_bytes, mutate_json, mutate_text
from fuzz.protobuf import mutate_message
from tiny import MODELS

# In place of a file: something that is none.
NOT_FILES = ("absent", "folder", "fifo", "loop", "dangling", "zero")
Change = bytes | str  # the file's new bytes, or one of NOT_FILES


@dataclass(frozen=True)
class Case:
    """One input: a base with files changed.

    Attributes:
        target, base: names.
        changes: path to what is there instead.
        write: whether an accepted checkpoint's weights are converted, too.
    """

    target: str
    base: str
    changes: Mapping[str, Change]
    write: bool = False


def make_case(target: str, seed: int, number: int) -> Case:
    """Case `number` of a target; the same for the same arguments, on every machine."""
    rng = random.Random(f"{seed}/{target}/{number}")
    base, changes = TARGETS[target](rng)
    return Case(target, base, changes, write=rng.random() < 0.15)


def _damaged(rng: random.Random, changes: dict[str, Change], names: list[str]) -> None:
    """Now and then something that is no file in place of one."""
    if rng.random() < 0.02:
        changes[rng.choice(names)] = rng.choice(NOT_FILES)


def _safetensors(rng: random.Random) -> tuple[str, dict[str, Change]]:
    base = rng.choice(("llama-gqa-tied", "llama-llama3-f16-sharded", "gemma3-vision-renamed"))
    files = base_files(base)
    names = [name for name in files if ".safetensors" in name]
    name = rng.choice(names)
    changes: dict[str, Change] = {}
    if name.endswith(".json"):
        changes[name] = json_bytes(rng, mutate_json(rng, json.loads(files[name]), tuple(files)))
    else:
        changes[name] = mutated_safetensors(rng, files[name])
    _damaged(rng, changes, names)
    return base, changes


def mutated_safetensors(rng: random.Random, data: bytes) -> bytes:
    """A safetensors file with its header's values, or its bytes, changed."""
    (size,) = struct.unpack_from("<Q", data)
    if rng.random() < 0.35:
        return mutate_bytes(rng, data, near=size + 8)
    header = json.loads(data[8 : 8 + size])
    names = tuple(header)
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(names)
        entry = header.get(name)
        kind = rng.randrange(6)
        if not isinstance(entry, dict) or "shape" not in entry or kind == 0:
            header = mutate_json(rng, header, names)
            header = header if isinstance(header, dict) else {"a": header}
        elif kind == 1:
            dtypes = ("F64", "F32", "F16", "BF16", "I8", "U8", "I64", "BOOL", "F8_E4M3", "F4")
            entry["dtype"] = rng.choice((*dtypes, *TEXTS))
        elif kind == 2:
            other = header.get(rng.choice(names))
            if isinstance(other, dict):
                key = rng.choice(("shape", "data_offsets"))
                entry[key] = other.get(key, entry[key])
        elif kind == 3 and isinstance(shape := entry["shape"], list):
            entry["shape"] = rng.choice((shape[::-1], [*shape, 1], [0], []))
        else:
            header[name] = mutate_json(rng, entry, ("dtype", "shape", "data_offsets"))
    text = json_bytes(rng, header)
    length = len(text) if rng.random() < 0.9 else rng.choice((0, 1, len(text) - 1, 2**31, 2**63))
    return struct.pack("<Q", length) + text + data[8 + size :]


def _gguf(rng: random.Random) -> tuple[str, dict[str, Change]]:
    base = rng.choice(bases.GGUFS)
    data = base_files(base)[bases.GGUF]
    parts = take_apart(data)
    if rng.random() < 0.3:
        header = len(data) - len(parts.data)
        return base, {bases.GGUF: mutate_bytes(rng, data, near=header)}
    mutate_parts(rng, parts)
    return base, {bases.GGUF: put_together(parts)}


CONFIG_KEYS = tuple(
    sorted(
        {key for model in MODELS.values() for key in (*model.config, *model.text_config)}
        | {"pad_token_id", "is_causal", "quantization_config", "auto_map", "num_experts"}
        | {"use_cache", "attention_dropout", "pretraining_tp", "layer_types", "no_rope_layers"}
    )
)
ROPE_KEYS = (
    *("rope_type", "type", "factor", "rope_theta", "attention_factor", "beta_fast", "beta_slow"),
    *("original_max_position_embeddings", "low_freq_factor", "high_freq_factor", "mscale"),
    *("short_factor", "long_factor", "partial_rotary_factor", "truncate", "full_attention"),
)
GENERATION_KEYS = (
    *("eos_token_id", "bos_token_id", "pad_token_id", "temperature", "top_k", "top_p", "min_p"),
    *("do_sample", "max_length", "suppress_tokens", "repetition_penalty", "num_beams"),
)


def _config(rng: random.Random) -> tuple[str, dict[str, Change]]:
    base = rng.choice(bases.CHECKPOINTS)
    files = base_files(base)
    changes: dict[str, Change] = {}
    if rng.random() < 0.8:
        config = mutate_json(rng, json.loads(files["config.json"]), CONFIG_KEYS + ROPE_KEYS)
        changes["config.json"] = json_bytes(rng, config)
    if not changes or rng.random() < 0.1:
        generation = mutate_json(rng, json.loads(files["generation_config.json"]), GENERATION_KEYS)
        changes["generation_config.json"] = json_bytes(rng, generation)
    _damaged(rng, changes, ["config.json", "generation_config.json"])
    return base, changes


TOKENIZER_KEYS = (
    *("add_bos_token", "add_eos_token", "bos_token", "eos_token", "unk_token", "chat_template"),
    *("added_tokens_decoder", "tokenizer_class", "model_max_length", "additional_special_tokens"),
    *("legacy", "add_prefix_space", "extra_special_tokens"),
)


def _tokenizer(rng: random.Random) -> tuple[str, dict[str, Change]]:
    base = rng.choice(("llama-gqa-tied", "qwen3-gqa-tied", *bases.TOKENIZERS, *bases.TOKENIZERS))
    files = base_files(base)
    changes: dict[str, Change] = {}
    model = "tokenizer.model"
    if model in files and rng.random() < 0.8:
        changes[model] = mutate_message(rng, files[model])
    elif "tokenizer.json" in files and rng.random() < 0.6:
        changes["tokenizer.json"] = _mutated_tokenizer_json(rng, files["tokenizer.json"])
    else:
        settings = json.loads(files["tokenizer_config.json"])
        name = rng.choice(("tokenizer_config.json", "tokenizer_config.json", "special_tokens_map"))
        if name == "special_tokens_map":
            keys = ("bos_token", "eos_token", "pad_token", "added_tokens_decoder")
            settings = {key: settings[key] for key in keys if key in settings}
            name = "special_tokens_map.json"
        changes[name] = json_bytes(rng, mutate_json(rng, settings, TOKENIZER_KEYS))
    _damaged(rng, changes, ["tokenizer.json", "tokenizer_config.json", model])
    return base, changes


def _mutated_tokenizer_json(rng: random.Random, data: bytes) -> bytes:
    if rng.random() < 0.2:
        return mutate_bytes(rng, data)
    content = json.loads(data)
    kind = rng.randrange(5)
    part = ("model", "added_tokens", "post_processor", "normalizer")[kind] if kind < 4 else None
    if part is None:
        return json_bytes(rng, mutate_json(rng, content, ("added_tokens", "model", "vocab")))
    content[part] = mutate_json(rng, content[part], ("type", "vocab", "merges", "content", "id"))
    return json_bytes(rng, content)


def _template(rng: random.Random) -> tuple[str, dict[str, Change]]:
    base = "llama-gqa-tied" if rng.random() < 0.5 else "gemma3_text-pattern-linear"
    source = templates.make(rng)
    if rng.random() < 0.5:
        return base, {"chat_template.jinja": source.encode("utf-8", "surrogatepass")}
    settings = json.loads(base_files(base)["tokenizer_config.json"])
    settings["chat_template"] = source
    if rng.random() < 0.1:
        named = [{"name": "default", "template": source}, {"name": "tool_use", "template": "a"}]
        settings["chat_template"] = mutate_json(rng, named, ("name", "template"))
    return base, {"tokenizer_config.json": json_bytes(rng, settings)}


ADAPTER_KEYS = (
    *("r", "lora_alpha", "target_modules", "bias", "use_dora", "use_rslora", "rank_pattern"),
    *("alpha_pattern", "modules_to_save", "layers_to_transform", "layers_pattern", "peft_type"),
    *("fan_in_fan_out", "lora_bias", "exclude_modules", "target_parameters", "megatron_config"),
    *("trainable_token_indices", "alora_invocation_tokens", "eva_config", "loftq_config"),
)


def _adapter(rng: random.Random) -> tuple[str, dict[str, Change]]:
    base = rng.choice(bases.LORAS)
    files = base_files(base)
    config, tensors = "adapter/adapter_config.json", "adapter/adapter_model.safetensors"
    changes: dict[str, Change] = {}
    if rng.random() < 0.5:
        mutated = mutate_json(rng, json.loads(files[config]), ADAPTER_KEYS)
        changes[config] = json_bytes(rng, mutated)
    else:
        changes[tensors] = mutated_safetensors(rng, files[tensors])
    _damaged(rng, changes, [config, tensors])
    return base, changes


def _bundle(rng: random.Random) -> tuple[str, dict[str, Change]]:
    base = rng.choice(bases.BUNDLES)
    data = base_files(base)[bases.BUNDLE]
    kind = rng.randrange(4)
    if kind == 0:
        return base, {bases.BUNDLE: mutate_bytes(rng, data, near=4096)}
    if kind == 1:
        return base, {bases.BUNDLE: mutate_bytes(rng, data)}
    sections, system = bundle_parts(base.rpartition(":")[2])
    if kind == 2:
        at = rng.randrange(2)  # LlmMetadata, ExecutorMetadata
        mutated = mutate_message(rng, sections[at][1])
        sections = (*sections[:at], (sections[at][0], mutated), *sections[at + 1 :])
        return base, {bases.BUNDLE: bases.bundle_file(sections, system)}
    return base, {bases.BUNDLE: bases.bundle_file(sections, _mutated_system(rng, system))}


def _mutated_system(rng: random.Random, system: Mapping[str, str]) -> dict[str, str]:
    mutated: dict[str, Any] = dict(system)
    key = rng.choice((*system, "template_variables", "template_variables", "chat_template"))
    if key == "template_variables" and rng.random() < 0.8:
        variables = mutate_json(rng, json.loads(system.get(key, '{"a": "b"}')))
        text = json_bytes(rng, variables).decode("utf-8", "replace")
    elif key == "chat_template":
        text = templates.make(rng)
    else:
        text = rng.choice((*TEXTS, mutate_text(rng, system.get(key, ""), TEXTS)))
    mutated[key] = text.encode("utf-8", "replace").decode()
    return mutated


TARGETS: dict[str, Callable[[random.Random], tuple[str, dict[str, Change]]]] = {
    "safetensors": _safetensors,
    "gguf": _gguf,
    "config": _config,
    "tokenizer": _tokenizer,
    "template": _template,
    "adapter": _adapter,
    "bundle": _bundle,
}


def apply_change(path: Path, change: Change) -> None:
    """Put `change` at `path`, where nothing is."""
    import os

    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(change, bytes):
        path.write_bytes(change)
    elif change == "folder":
        path.mkdir()
    elif change == "fifo":
        os.mkfifo(path)
    elif change in ("loop", "dangling", "zero"):
        targets = {"loop": path.name, "dangling": "nowhere", "zero": "/dev/zero"}
        path.symlink_to(targets[change])
