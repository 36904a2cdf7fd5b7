"""Estimates with their uncertainty, from the scores of single samples."""
