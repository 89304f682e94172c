"""The two metadata sections: what the runtime needs to know about prompts and states."""

from __future__ import annotations

from litert_lm_builder.runtime.proto import (
    executor_metadata_pb2,
    llm_metadata_pb2,
    sampler_params_pb2,
)

from litertlm.bundle.prompt_config import PromptConfig
from litertlm.graph.state import LayerStates, Role, state_tensors

THOUGHT_CHANNEL = "thought"

# StateBuffer.Type of the runtime's executor_metadata.proto.
_STATE_TYPES = {
    Role.KEY: "TYPE_GLOBAL_KEY_CACHE",
    Role.VALUE: "TYPE_GLOBAL_VALUE_CACHE",
    Role.RECURRENT: "TYPE_LINEAR_ATTENTION",
}


def llm_metadata(prompting: PromptConfig, *, max_num_tokens: int) -> bytes:
    """LlmMetadata. `max_num_tokens` is the default context length."""
    message = llm_metadata_pb2.LlmMetadata()
    if prompting.start_token_id is not None:
        message.start_token.token_ids.ids.append(prompting.start_token_id)
    for token in prompting.stop_token_ids:
        message.stop_tokens.add().token_ids.ids.append(token)
    if prompting.suppressed_token_ids:
        message.suppress_tokens.ids.extend(prompting.suppressed_token_ids)
    message.max_num_tokens = max_num_tokens
    sampler = prompting.sampler
    # The runtime implements top-p alone ("Sampler type: 3 not implemented yet" for greedy);
    # the best of one token is the greedy choice.
    message.sampler_params.type = sampler_params_pb2.SamplerParameters.TOP_P
    message.sampler_params.k = 1 if sampler.kind == "greedy" else sampler.top_k
    message.sampler_params.p = sampler.top_p
    message.sampler_params.temperature = sampler.temperature
    getattr(message.llm_model_type, prompting.model_type).SetInParent()
    if prompting.model_type == "function_gemma":
        # Else the runtime passes tools to the template as texts, which Google's own template for
        # this runtime expects and the checkpoint's does not.
        message.llm_model_type.function_gemma.use_template_for_fc_format = True
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


def executor_metadata(states: LayerStates, *, cache_length: int | None, max_context: int) -> bytes:
    """ExecutorMetadata: the tensors that hold each layer's states.

    Args:
        cache_length: tokens of a fixed cache, or None for one that grows.
        max_context: the most tokens that the model can attend to.
    """
    message = executor_metadata_pb2.ExecutorMetadata()
    executor = message.llm_executor_metadata
    executor.max_history_size = cache_length or max_context
    types = executor_metadata_pb2.StateBuffer.Type
    for state in state_tensors(states, cache_length or max_context):
        buffer = executor.state_buffers.add(
            prefill_input_name=state.name,
            prefill_output_name=state.name,
            decode_input_name=state.name,
            decode_output_name=state.name,
            type=types.Value(_STATE_TYPES[state.role]),
        )
        if state.sequence_axis is not None:
            buffer.sequence_axis = state.sequence_axis
            buffer.maximum_sequence_length = cache_length or max_context
    return bytes(message.SerializeToString(deterministic=True))
