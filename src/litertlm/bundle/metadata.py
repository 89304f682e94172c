"""The two metadata sections: what the runtime must know of prompts, and of the graph's caches."""

from __future__ import annotations

from litert_lm_builder.runtime.proto import (
    executor_metadata_pb2,
    llm_metadata_pb2,
    sampler_params_pb2,
)

from litertlm.bundle.prompt_config import Prompting

THOUGHT_CHANNEL = "thought"


def llm_metadata(prompting: Prompting, *, max_num_tokens: int) -> bytes:
    """LlmMetadata. `max_num_tokens` is the default context length."""
    message = llm_metadata_pb2.LlmMetadata()
    if prompting.start_token_id is not None:
        message.start_token.token_ids.ids.append(prompting.start_token_id)
    for token in prompting.stop_token_ids:
        message.stop_tokens.add().token_ids.ids.append(token)
    message.max_num_tokens = max_num_tokens
    sampler = prompting.sampler
    # The runtime implements top-p alone ("Sampler type: 3 not implemented yet" for greedy);
    # the best of one token is the greedy choice.
    message.sampler_params.type = sampler_params_pb2.SamplerParameters.TOP_P
    message.sampler_params.k = 1 if sampler.kind == "greedy" else sampler.top_k
    message.sampler_params.p = sampler.top_p
    message.sampler_params.temperature = sampler.temperature
    getattr(message.llm_model_type, prompting.model_type).SetInParent()
    if prompting.template.source is not None:
        message.jinja_prompt_template = prompting.template.source
    if prompting.thinking_tags is not None:
        start, end = prompting.thinking_tags
        message.channels.add(
            channel_name=THOUGHT_CHANNEL, start=start, end=end, is_reasoning_channel=True
        )
    message.supports_thinking = prompting.supports_thinking
    message.supports_function_calling = prompting.supports_tools
    return bytes(message.SerializeToString(deterministic=True))


def plain_llm_metadata(max_num_tokens: int) -> bytes:
    """The LlmMetadata of a model without a template, BOS and stop tokens."""
    message = llm_metadata_pb2.LlmMetadata(max_num_tokens=max_num_tokens)
    message.llm_model_type.generic_model.SetInParent()
    return bytes(message.SerializeToString(deterministic=True))


def executor_metadata(layers: int, *, cache_length: int | None, longest: int) -> bytes:
    """ExecutorMetadata: each layer's key and value cache.

    Args:
        cache_length: tokens of a fixed cache, or None for one that grows.
        longest: tokens of the longest history that the model was made for.
    """
    message = executor_metadata_pb2.ExecutorMetadata()
    executor = message.llm_executor_metadata
    executor.max_history_size = cache_length or longest
    types = executor_metadata_pb2.StateBuffer.Type
    for layer in range(layers):
        for which, kind, axis in (
            ("k", types.Value("TYPE_GLOBAL_KEY_CACHE"), 2),
            ("v", types.Value("TYPE_GLOBAL_VALUE_CACHE"), 3),
        ):
            name = f"kv_cache_{which}_{layer}"
            executor.state_buffers.add(
                prefill_input_name=name,
                prefill_output_name=name,
                decode_input_name=name,
                decode_output_name=name,
                type=kind,
                sequence_axis=axis,
                maximum_sequence_length=cache_length or longest,
            )
    return bytes(message.SerializeToString(deterministic=True))
