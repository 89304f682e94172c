"""Every tensor of a tiny checkpoint."""

from __future__ import annotations

from tiny.model import TinyModel
from tiny.models import family_of
from tiny.tensors import Shapes


def tensor_shapes(model: TinyModel) -> Shapes:
    """Every tensor of the checkpoint: name to shape, `(out, in)` for matrices."""
    config, family = model.text_config, family_of(model)
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    names: Shapes = {f"{model.prefix}embed_tokens.weight": (vocab, hidden)}
    names |= {f"{model.prefix}{k}": s for k, s in family.outside(config).items()}
    for layer in range(config["num_hidden_layers"]):
        each = family.each_layer
        tensors = family.layer(config) if each is None else each(config, layer)
        names |= {f"{model.prefix}layers.{layer}.{k}": s for k, s in tensors}
    names |= {f"{model.prefix}{name}": (hidden,) for name in family.final_norm}
    if not config.get("tie_word_embeddings", family.tied):
        names["lm_head.weight"] = (vocab, hidden)
    if family.head_bias:
        names["lm_head.bias"] = (vocab,)
    if model.config.get("vision_config"):
        names |= _pixtral(model) if model.config["model_type"] == "mistral3" else _siglip(model)
    return names


def _siglip(model: TinyModel) -> Shapes:
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


def _pixtral(model: TinyModel) -> Shapes:
    """A Pixtral tower of one layer and the projector, which a text conversion leaves out."""
    vision, hidden = model.config["vision_config"], model.text_config["hidden_size"]
    width, mlp, patch = vision["hidden_size"], vision["intermediate_size"], vision["patch_size"]
    root = "model." if model.prefix.startswith("model.") else ""
    tower, projector = f"{root}vision_tower.", f"{root}multi_modal_projector."
    layer = f"{tower}transformer.layers.0."
    merged = width * model.config["spatial_merge_size"] ** 2
    return {
        f"{tower}patch_conv.weight": (width, 3, patch, patch),
        f"{tower}ln_pre.weight": (width,),
        **{f"{layer}attention.{name}_proj.weight": (width, width) for name in "qkvo"},
        f"{layer}feed_forward.gate_proj.weight": (mlp, width),
        f"{layer}feed_forward.up_proj.weight": (mlp, width),
        f"{layer}feed_forward.down_proj.weight": (width, mlp),
        f"{layer}attention_norm.weight": (width,),
        f"{layer}ffn_norm.weight": (width,),
        f"{projector}norm.weight": (width,),
        f"{projector}patch_merger.merging_layer.weight": (width, merged),
        f"{projector}linear_1.weight": (hidden, width),
        f"{projector}linear_2.weight": (hidden, hidden),
    }
