"""Ask a model, and keep the conversation."""
