"""Perturbations: the same question put in another way, so that what a score owes to the way shows."""
