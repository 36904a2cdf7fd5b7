"""Runs as one HTML file that holds everything a reader asks for, and needs nothing else."""
