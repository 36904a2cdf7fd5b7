"""Tokenizers: text to token ids and back, learned from texts, and compared by what they make of texts."""
