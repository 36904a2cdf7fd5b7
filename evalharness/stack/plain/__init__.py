"""The plain loop: serves models that the engine does not, one prompt after another and without a prefix tree."""
