"""What a family is: how its ``config.json`` and its tensors become ours, and ours its."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from evalharness.stack.architectures.families.rules import Rule
from evalharness.stack.architectures.families.values import Values
from evalharness.stack.config import AnyConfig, ModelConfig

if TYPE_CHECKING:
    from torch import nn

C = TypeVar("C", bound=AnyConfig)


def decoder(config: ModelConfig) -> nn.Module:
    """The model of the families whose parts the decoder has."""
    from evalharness.stack.architectures.decoder import Decoder

    return Decoder(config)


@dataclass(frozen=True, kw_only=True, slots=True)
class Family(Generic[C]):
    """A layout of Hugging Face's, and the model in it, which a configuration of the kind C describes."""

    title: str
    """For people."""
    class_name: str
    """The class of the library transformers."""
    read: Callable[[Values], C]
    """The configuration that a ``config.json`` describes. Raises CheckpointError where it asks for what is not covered;
    KeyError, TypeError and ValueError are told for it."""
    write: Callable[[C], dict[str, Any]]
    """The keys of ``config.json`` that `read` and transformers read back, without those that all families have."""
    rules: Callable[[C, Collection[str]], Iterator[Rule]]
    """Where every tensor lies, but for the head of tied embeddings. The second argument are the names in a folder, for
    families with more than one layout; it is empty where a folder is written."""
    covers: Callable[[ModelConfig], bool] = lambda _: False
    """Whether the layout can say all parts of a decoder's configuration."""
    build: Callable[[Any], nn.Module] = decoder
    """The model of a configuration of the kind C, with numbers that mean nothing."""
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
    copies: tuple[str, ...] = ()
    """Names by which folders may hold the embedding once more."""
    runs: Literal["engine", "loop"] = "engine"
    """What computes it here: the engine, which takes decoders only, or the loop of `evalharness.stack.plain`."""
    endless: bool = False
    """Whether positions are such that a model takes longer sequences than it was made for."""
