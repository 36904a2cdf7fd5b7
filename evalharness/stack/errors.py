"""Errors of the stack: one sentence that says what was wrong, where, and what would be right."""

from __future__ import annotations


class StackError(Exception):
    """Base of the stack's errors."""


class CheckpointError(StackError):
    """A checkpoint on disk is wrong, incomplete, or of a kind that the stack does not know."""


class GrammarError(StackError):
    """A JSON schema or regular expression that texts cannot be held to."""
