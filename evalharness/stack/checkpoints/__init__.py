"""Weights, configuration and tokenizer on disk: GGUF files and Hugging Face folders."""
