"""The model stack: a decoder from parts, checkpoints, a tokenizer and an engine. Imports nothing of the rest."""
