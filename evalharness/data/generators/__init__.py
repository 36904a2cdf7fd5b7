"""Benchmarks that are computed: ``generate(split)`` gives the same rows on every machine."""
