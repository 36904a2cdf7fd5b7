"""Planning cells, running them, resuming, re-scoring."""
