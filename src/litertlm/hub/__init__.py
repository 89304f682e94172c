"""The Hugging Face Hub: token, repositories, choice of files, downloads.

The only package that imports huggingface_hub and its HTTP client.
"""
