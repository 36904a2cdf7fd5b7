"""Layers of Hugging Face's that an adapter changes, and ours that they are made of.

Letters in names: R rank, O outputs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalharness.stack.architectures.families.known import FAMILIES, new_model
from evalharness.stack.architectures.families.rules import Rule, same
from evalharness.stack.checkpoints.save import with_family
from evalharness.stack.config import AnyConfig

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Site:
    """A layer of Hugging Face's with a weight, and ours that it is made of."""

    name: str
    parts: tuple[str, ...]
    rule: Rule

    def cut(self, b_OR: Tensor) -> Sequence[Tensor]:
        """The rows of B for each of ours."""
        if self.rule.transposed:
            return self.rule.load([b_OR.T])
        return self.rule.load([b_OR])

    def joined(self, parts: Sequence[Tensor]) -> Tensor:
        """Back."""
        (b_OR,) = self.rule.save(parts)
        return b_OR.T if self.rule.transposed else b_OR


def sites(config: AnyConfig, stored: Collection[str] = ()) -> dict[str, Site]:
    """Every layer with a weight by its name, embeddings and norms among them, but for the head of tied embeddings.

    Args:
        stored: names of tensors, for families with more than one layout.
    """
    config = with_family(config)
    family = FAMILIES.get(config.architecture)
    rules = _composed_rules(config) if family is None else family.rules(config, stored)
    found = {}
    for rule in rules:
        if len(rule.stored) == 1 and all(name.endswith(".weight") for name in rule.ours):
            name = rule.stored[0].removesuffix(".weight")
            found[name] = Site(name, tuple(ours.removesuffix(".weight") for ours in rule.ours), rule)
    return found


def _composed_rules(config: AnyConfig) -> Iterable[Rule]:
    """Composed models are stored under our names."""
    import torch

    with torch.device("meta"):
        names = new_model(config).state_dict().keys()
    return [same(name, name) for name in names if name != "head.weight" or not config.tied_embeddings]
