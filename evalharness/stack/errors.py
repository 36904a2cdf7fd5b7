"""Errors of the stack: one sentence that says what was wrong, where, and what would be right."""

from __future__ import annotations


class StackError(Exception):
    """Base of the stack's errors."""


class CheckpointError(StackError):
    """A checkpoint on disk is wrong, incomplete, or of a kind that the stack does not know."""


class DiskRefusedError(CheckpointError):
    """The disk refuses what is to be written, since it is full or read-only; what was whole on it still is."""


class GrammarError(StackError):
    """A JSON schema or regular expression that texts cannot be held to."""


class NoNumbersError(StackError):
    """What a model computes are no numbers."""


class TokenizerError(StackError):
    """A tokenizer cannot be learned as asked: options that contradict each other, texts that do not suffice."""


class TextFileError(StackError):
    """A file of texts is wrong: broken UTF-8, a line that is no JSON, a key or column that is missing."""


class CorpusError(StackError):
    """A corpus is wrong: its options, a file of texts, a shard, or a tokenizer that it was not made with."""


class TrainingError(StackError):
    """A training cannot be done as asked: options, data and model that do not go together, a loss that is no number."""


class KernelError(StackError):
    """`EVALHARNESS_KERNELS` names what does not exist, or what cannot compute here."""
