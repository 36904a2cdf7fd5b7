"""Parsers: from what a model said to the answer it gave, with the place it was read from."""
