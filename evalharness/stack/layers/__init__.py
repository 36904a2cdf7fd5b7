"""Parts that architectures are made of, one file a family of idea."""
