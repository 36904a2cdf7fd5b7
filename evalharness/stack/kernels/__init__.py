"""The stack's hot paths: one folder an op, with a reference, a fast path in torch and Triton side by side."""
