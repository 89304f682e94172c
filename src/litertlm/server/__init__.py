"""The HTTP server: OpenAI's, Ollama's and Anthropic's interfaces, and a page at `/`."""
