"""Metrics: pure functions from an attempt and a reference to a score."""
