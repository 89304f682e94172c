"""What the demo model is asked where it is compared with transformers."""

from __future__ import annotations

from pathlib import Path

GOLDENS = Path(__file__).parent / "goldens" / "demo.json"
GREEDY_TOKENS = 40
SYSTEM = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n"
)
QUESTIONS = (
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "How many days are in a week?",
    "Explain what a bicycle is to a child.",
    "List three kinds of fruit.",
    "What is 12 plus 30?",
    "Who wrote Romeo and Juliet?",
    "Translate 'good morning' to Spanish.",
    "Why is the sky blue?",
    "Tell me a very short story about a cat.",
)


def prompt(question: str) -> str:
    """The chat prompt of one question, as the demo model's template writes it."""
    return f"{SYSTEM}<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
