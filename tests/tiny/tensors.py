"""Names and shapes of each family's tensors, listed apart from `src/` on purpose.

They are the parameters of transformers' modeling files, in the order of their modules.
"""

from __future__ import annotations

from collections.abc import Iterator

from tiny.models import TinyModel

Shapes = dict[str, tuple[int, ...]]


def tensor_shapes(model: TinyModel) -> Shapes:
    """Every tensor of the checkpoint: name to shape, `(out, in)` for matrices."""
    config = model.text_config
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    names: Shapes = {f"{model.prefix}embed_tokens.weight": (vocab, hidden)}
    for layer in range(config["num_hidden_layers"]):
        names |= {f"{model.prefix}layers.{layer}.{k}": s for k, s in _layer(model)}
    names[f"{model.prefix}norm.weight"] = (hidden,)
    if not config.get("tie_word_embeddings", config["model_type"].startswith("gemma")):
        names["lm_head.weight"] = (vocab, hidden)
    if "vision_config" in model.config:
        names |= _vision(model)
    return names


def _layer(model: TinyModel) -> Iterator[tuple[str, tuple[int, ...]]]:
    config, family = model.text_config, model.text_config["model_type"]
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = config.get("head_dim", hidden // heads)

    def linear(
        name: str, out: int, inner: int, bias: bool
    ) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}.weight", (out, inner)
        if bias:
            yield f"{name}.bias", (out,)

    qkv_bias = config.get("attention_bias", family == "qwen2")
    if family == "phi3":
        yield from linear("self_attn.qkv_proj", (heads + 2 * kv_heads) * head_dim, hidden, False)
    else:
        yield from linear("self_attn.q_proj", heads * head_dim, hidden, qkv_bias)
        yield from linear("self_attn.k_proj", kv_heads * head_dim, hidden, qkv_bias)
        yield from linear("self_attn.v_proj", kv_heads * head_dim, hidden, qkv_bias)
    o_bias = config.get("attention_bias", False)
    yield from linear("self_attn.o_proj", hidden, heads * head_dim, o_bias)
    if family in ("qwen3", "gemma3_text"):
        yield "self_attn.q_norm.weight", (head_dim,)
        yield "self_attn.k_norm.weight", (head_dim,)
    if family == "olmo2":
        yield "self_attn.q_norm.weight", (heads * head_dim,)
        yield "self_attn.k_norm.weight", (kv_heads * head_dim,)

    mlp_bias = config.get("mlp_bias", False)
    if family == "phi3":
        yield from linear("mlp.gate_up_proj", 2 * mlp, hidden, False)
    else:
        yield from linear("mlp.gate_proj", mlp, hidden, mlp_bias)
        yield from linear("mlp.up_proj", mlp, hidden, mlp_bias)
    yield from linear("mlp.down_proj", hidden, mlp, mlp_bias)

    norms = {
        "gemma2": ("input", "post_attention", "pre_feedforward", "post_feedforward"),
        "gemma3_text": ("input", "post_attention", "pre_feedforward", "post_feedforward"),
        "olmo2": ("post_attention", "post_feedforward"),
    }.get(family, ("input", "post_attention"))
    for norm in norms:
        yield f"{norm}_layernorm.weight", (hidden,)


def _vision(model: TinyModel) -> Shapes:
    """A SigLIP tower of one layer and the projector, which a text conversion leaves out."""
    vision = model.config["vision_config"]
    width, mlp, patch = vision["hidden_size"], vision["intermediate_size"], vision["patch_size"]
    patches = (vision["image_size"] // patch) ** 2
    root = "model." if model.prefix.startswith("model.") else ""
    # transformers 5 dropped the level `vision_model` when it renamed the rest.
    tower = f"{root}vision_tower." + ("" if root else "vision_model.")
    layer = f"{tower}encoder.layers.0."
    names: Shapes = {
        f"{tower}embeddings.patch_embedding.weight": (width, 3, patch, patch),
        f"{tower}embeddings.patch_embedding.bias": (width,),
        f"{tower}embeddings.position_embedding.weight": (patches, width),
    }
    for name, (out, inner) in {
        "self_attn.q_proj": (width, width),
        "self_attn.k_proj": (width, width),
        "self_attn.v_proj": (width, width),
        "self_attn.out_proj": (width, width),
        "mlp.fc1": (mlp, width),
        "mlp.fc2": (width, mlp),
    }.items():
        names |= {f"{layer}{name}.weight": (out, inner), f"{layer}{name}.bias": (out,)}
    for name in (f"{layer}layer_norm1", f"{layer}layer_norm2", f"{tower}post_layernorm"):
        names |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    names[f"{root}multi_modal_projector.mm_input_projection_weight"] = (
        width,
        model.text_config["hidden_size"],
    )
    names[f"{root}multi_modal_projector.mm_soft_emb_norm.weight"] = (width,)
    return names
