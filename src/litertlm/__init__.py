"""litert-lm-cli: from a Hugging Face model name to a running on-device model."""

__version__ = "0.1.0"
