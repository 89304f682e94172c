"""A bundle's own logits: its decode signature in the LiteRT interpreter, token by token.

The interpreter is the optional package `ai-edge-litert`. The runtime's text scoring is no
substitute: its scores deviate from the model's logits near the end of the prefilled text
(measured with litert-lm-api 0.18.1).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from litertlm.errors import UsageError
from litertlm.runtime.stderr_capture import captured_stderr

# What the runtime writes where a token must not look (google-ai-edge/LiteRT-LM,
# runtime/executor/llm_litert_compiled_model_executor_utils.cc).
MASKED = np.float32(-0.7 * np.finfo(np.float32).max)


def interpreter_is_there() -> bool:
    """Whether the optional package is installed."""
    return importlib.util.find_spec("ai_edge_litert") is not None


def decode_logits(
    model: Path, tokens: Sequence[int], *, threads: int
) -> Iterator[NDArray[np.float32]]:
    """The logits `[vocab]` after each of `tokens`.

    Args:
        model: a `.tflite` file.

    Raises:
        UsageError: the interpreter is not installed.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise UsageError(
            "The quality check needs the LiteRT interpreter, which is not installed.",
            hint="Install the package ai-edge-litert, or litert-lm-cli with its extra `verify`.",
        ) from error
    interpreter = Interpreter(model_path=str(model), num_threads=threads)
    decode = interpreter.get_signature_runner("decode")
    details = decode.get_input_details()
    # A dynamic cache has the length of the text; a fixed one has its own.
    length = _size(details["mask"]["shape_signature"][-1], len(tokens))
    states = {  # a state is an input that is also an output
        name: np.zeros([_size(n, length) for n in details[name]["shape_signature"]], np.float32)
        for name in decode.get_output_details()
        if name in details
    }
    for position, token in enumerate(tokens[:length]):
        mask = np.full((1, 1, 1, length), MASKED, np.float32)
        mask[..., : position + 1] = 0.0
        with captured_stderr() if position == 0 else nullcontext():  # it names its delegate
            outputs = decode(
                tokens=np.array([[token]], np.int32),
                input_pos=np.array([position], np.int32),
                mask=mask,
                **states,
            )
        states = {name: outputs[name] for name in states}
        yield outputs["logits"][0, 0]


def _size(stored: int, wanted: int) -> int:
    return wanted if stored < 0 else int(stored)
