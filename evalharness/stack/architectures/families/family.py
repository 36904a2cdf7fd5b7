"""What a family is: how its ``config.json`` and its tensors become ours, and ours its."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from evalharness.stack.architectures.families.rules import Rule
from evalharness.stack.architectures.families.values import Values
from evalharness.stack.config import ModelConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A layout of Hugging Face's."""

    title: str
    """For people."""
    class_name: str
    """The class of the library transformers."""
    read: Callable[[Values], ModelConfig]
    """The configuration that a ``config.json`` describes. Raises CheckpointError where it asks for what is not covered;
    KeyError, TypeError and ValueError are told for it."""
    write: Callable[[ModelConfig], dict[str, Any]]
    """The keys of ``config.json`` that `read` and transformers read back, without those that all families have."""
    rules: Callable[[ModelConfig, Collection[str]], Iterator[Rule]]
    """Where every tensor lies, but for the head of tied embeddings. The second argument are the names in a folder, for
    families with more than one layout; it is empty where a folder is written."""
    covers: Callable[[ModelConfig], bool]
    """Whether the layout can say all parts of a configuration."""
    prefix: str
    """What names begin with, and in folders of models without a head do not."""
    embedding: str
    """The embedding's name."""
    head: str = "lm_head.weight"
    """The vocabulary projection's."""
    renamed: tuple[tuple[str, str], ...] = ()
    """What else parts of names are called: patterns, and what they stand for."""
    leftovers: tuple[str, ...] = ()
    """Patterns of what versions of the library have written that no model needs."""
    runs: Literal["engine", "loop"] = "engine"
    """What computes it here."""
