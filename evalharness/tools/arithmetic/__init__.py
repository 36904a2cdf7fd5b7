"""Arithmetic as people and models write it, read by a parser of its own and never executed."""
