"""The supported GGUF architectures: the names of their tensors, and what is changed in them."""

from __future__ import annotations

from litertlm.checkpoint import gguf_extensions as extensions
from litertlm.checkpoint import gguf_gemma
from litertlm.checkpoint.gguf_config import Architecture

_SANDWICH_NORMS = {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}

_LAYER_NORM_EPS = "attention.layer_norm_epsilon"

ARCHITECTURES: dict[str, Architecture] = {
    a.name: a
    for a in (
        Architecture(
            "llama",
            "llama",
            "LlamaForCausalLM",
            interleaved_rope=True,
            extend=extensions.extend_llama,
        ),
        Architecture("qwen2", "qwen2", "Qwen2ForCausalLM", extend=extensions.extend_qwen2),
        Architecture("qwen3", "qwen3", "Qwen3ForCausalLM"),
        Architecture(
            "gemma2",
            "gemma2",
            "Gemma2ForCausalLM",
            shifted_norms=True,
            layer_names=_SANDWICH_NORMS,
            extend=extensions.extend_gemma2,
        ),
        Architecture(
            "gemma3",
            "gemma3_text",
            "Gemma3ForCausalLM",
            shifted_norms=True,
            layer_names=_SANDWICH_NORMS,
            extend=extensions.extend_gemma3,
        ),
        Architecture(
            "gemma3n",
            "gemma3n_text",
            "Gemma3nForCausalLM",
            global_names=gguf_gemma.PER_LAYER_GLOBAL_NAMES,
            layer_names=_SANDWICH_NORMS | gguf_gemma.GEMMA3N_NAMES,
            stacked=gguf_gemma.GEMMA3N_STACKED,
            extend=gguf_gemma.extend_gemma3n,
        ),
        Architecture(
            "gemma4",
            "gemma4_text",
            "Gemma4ForCausalLM",
            global_names=gguf_gemma.PER_LAYER_GLOBAL_NAMES,
            layer_names=_SANDWICH_NORMS | gguf_gemma.GEMMA4_NAMES,
            differing=frozenset({"feed_forward_length", "attention.head_count_kv"}),
            own_ropes=True,
            extend=gguf_gemma.extend_gemma4,
        ),
        Architecture(
            "smollm3",
            "smollm3",
            "SmolLM3ForCausalLM",
            interleaved_rope=True,
            extend=extensions.extend_smollm3,
        ),
        Architecture(
            "olmo2",
            "olmo2",
            "Olmo2ForCausalLM",
            layer_names=_SANDWICH_NORMS,
            extend=extensions.extend_olmo2,
        ),
        Architecture(
            "granite",
            "granite",
            "GraniteForCausalLM",
            interleaved_rope=True,
            extend=extensions.extend_granite,
        ),
        Architecture(
            "phi3",
            "phi3",
            "Phi3ForCausalLM",
            layer_names={"ffn_up": "mlp.gate_up_proj"},
            extend=extensions.extend_phi3,
        ),
        Architecture(
            "gemma",
            "gemma",
            "GemmaForCausalLM",
            shifted_norms=True,
            extend=extensions.extend_gemma1,
        ),
        Architecture(
            "arcee",
            "arcee",
            "ArceeForCausalLM",
            interleaved_rope=True,
            extend=extensions.extend_arcee,
        ),
        Architecture(
            "ernie4_5", "ernie4_5", "Ernie4_5ForCausalLM", extend=extensions.extend_ernie4_5
        ),
        Architecture(
            "mistral3",
            "ministral3",
            "Ministral3ForCausalLM",
            interleaved_rope=True,
            extend=extensions.extend_mistral3,
        ),
        Architecture(
            "seed_oss",
            "seed_oss",
            "SeedOssForCausalLM",
            layer_names={"post_attention_norm": "post_attention_layernorm"},
            extend=extensions.extend_seed_oss,
        ),
        Architecture(
            "exaone4",
            "exaone4",
            "Exaone4ForCausalLM",
            layer_names=_SANDWICH_NORMS,
            extend=extensions.extend_exaone4,
        ),
        Architecture(
            "hunyuan-dense",
            "hunyuan_v1_dense",
            "HunYuanDenseV1ForCausalLM",
            layer_names={
                "attn_q_norm": "self_attn.query_layernorm",
                "attn_k_norm": "self_attn.key_layernorm",
            },
        ),
        Architecture(
            "glm4",
            "glm4",
            "Glm4ForCausalLM",
            layer_names={
                "ffn_up": "mlp.gate_up_proj",
                "post_attention_norm": "post_self_attn_layernorm",
                "post_ffw_norm": "post_mlp_layernorm",
            },
            extend=extensions.extend_glm4,
        ),
        # GLM-4 9B, GLM-Edge, and their format before transformers had them.
        Architecture(
            "chatglm",
            "glm",
            "GlmForCausalLM",
            layer_names={"ffn_up": "mlp.gate_up_proj"},
            fused_qkv=True,
            extend=extensions.extend_glm,
        ),
        Architecture(
            "minicpm3",
            "minicpm3",
            "MiniCPM3ForCausalLM",
            own_value_dim=True,
            layer_names={
                "attn_q_a": "self_attn.q_a_proj",
                "attn_q_a_norm": "self_attn.q_a_layernorm",
                "attn_q_b": "self_attn.q_b_proj",
                "attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa",
                "attn_kv_a_norm": "self_attn.kv_a_layernorm",
                "attn_kv_b": "self_attn.kv_b_proj",
            },
            extend=extensions.extend_minicpm3,
        ),
        Architecture(
            "apertus",
            "apertus",
            "ApertusForCausalLM",
            layer_names={
                "attn_norm": "attention_layernorm",
                "ffn_norm": "feedforward_layernorm",
            },
            values={
                "xielu.alpha_p": ("mlp.act_fn.alpha_p", (1,)),
                "xielu.alpha_n": ("mlp.act_fn.alpha_n", (1,)),
                "xielu.beta": ("mlp.act_fn.beta", ()),
                "xielu.eps": ("mlp.act_fn.eps", ()),
            },
            extend=extensions.extend_apertus,
        ),
        Architecture(
            "cohere2",
            "cohere2",
            "Cohere2ForCausalLM",
            norm_eps=_LAYER_NORM_EPS,
            extend=extensions.extend_cohere2,
        ),
        Architecture(
            "nemotron",
            "nemotron",
            "NemotronForCausalLM",
            shifted_norms=True,
            norm_eps=_LAYER_NORM_EPS,
            extend=extensions.extend_nemotron,
        ),
        Architecture(
            "olmo",
            "olmo",
            "OlmoForCausalLM",
            interleaved_rope=True,
            norm_eps=_LAYER_NORM_EPS,
            extend=extensions.extend_olmo,
        ),
        Architecture(
            "stablelm",
            "stablelm",
            "StableLmForCausalLM",
            norm_eps=_LAYER_NORM_EPS,
            extend=extensions.extend_stablelm,
        ),
        Architecture(
            "starcoder2",
            "starcoder2",
            "Starcoder2ForCausalLM",
            norm_eps=_LAYER_NORM_EPS,
            layer_names={"ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"},
            extend=extensions.extend_starcoder2,
        ),
        Architecture(
            "phi2",
            "phi",
            "PhiForCausalLM",
            norm_eps=_LAYER_NORM_EPS,
            global_names={"output_norm": "model.final_layernorm"},
            layer_names={
                "attn_output": "self_attn.dense",
                "ffn_up": "mlp.fc1",
                "ffn_down": "mlp.fc2",
            },
            extend=extensions.extend_phi2,
        ),
        Architecture(
            "lfm2",
            "lfm2",
            "Lfm2ForCausalLM",
            hybrid=True,
            global_names={"token_embd_norm": "model.embedding_norm"},
            layer_names={
                "attn_norm": "operator_norm",
                "attn_output": "self_attn.out_proj",
                "attn_q_norm": "self_attn.q_layernorm",
                "attn_k_norm": "self_attn.k_layernorm",
                "ffn_norm": "ffn_norm",
                "ffn_gate": "feed_forward.w1",
                "ffn_up": "feed_forward.w3",
                "ffn_down": "feed_forward.w2",
                "shortconv.conv": "conv.conv",
                "shortconv.in_proj": "conv.in_proj",
                "shortconv.out_proj": "conv.out_proj",
            },
            extend=extensions.extend_lfm2,
        ),
    )
}
