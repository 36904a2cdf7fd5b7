"""Between a folder's tensors and ours, by the rules of its family."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.stack.architectures.families.known import FAMILIES
from evalharness.stack.architectures.families.rules import Rule
from evalharness.stack.config import AnyConfig
from evalharness.stack.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor


class Layout:
    """Where a folder of a family has our tensors.

    Args:
        stored: the names of the tensors in the folder.
        path: the folder, for errors.

    Raises:
        CheckpointError: a tensor is missing, or one is there that the configuration has no place for.
    """

    def __init__(self, config: AnyConfig, stored: Collection[str], path: Path) -> None:
        self._family, self._path = FAMILIES[config.architecture], path
        bare = not any(name.startswith(self._family.prefix) for name in stored)
        self._usual = {name: usual for name in stored if (usual := self._usual_name(name, bare)) is not None}
        self._stored = {usual: name for name, usual in self._usual.items()}
        rules = list(self._family.rules(config, stored))
        again = [*self._family.copies, *([self._family.head] if config.tied_embeddings else [])]
        if again := [name for name in again if name in self._stored]:
            rules = [self._repeated(rule, again) if rule.ours == ("embedding.weight",) else rule for rule in rules]
        self._rules = {name: rule for rule in rules for name in rule.stored}
        self._places = {ours: rule.stored[0] for rule in rules for ours in rule.ours}
        self._check()

    def stored_name(self, ours: str) -> str:
        """What the folder calls the tensor that ours is in."""
        return self._stored[self._places[ours]]

    def ours(self, tensors: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
        """Our tensors of the folder's, as they come; those that belong together wait for each other.

        Raises:
            CheckpointError: a tensor cannot be cut as the configuration says, or a tied head differs.
        """
        waiting: dict[str, Tensor] = {}
        for name, tensor in tensors:
            if name not in self._usual:
                continue
            waiting[self._usual[name]] = tensor
            rule = self._rules[self._usual[name]]
            if all(each in waiting for each in rule.stored):
                yield from zip(rule.ours, self._load(rule, [waiting.pop(each) for each in rule.stored]), strict=True)

    def _load(self, rule: Rule, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        try:
            return rule.load(tensors)
        except (RuntimeError, IndexError):
            raise CheckpointError(
                f"{self._path}: the weights '{self._stored[rule.stored[0]]}' have the shape {tuple(tensors[0].shape)}, "
                "which does not fit the configuration."
            ) from None

    def _usual_name(self, name: str, bare: bool) -> str | None:
        """The name by which `rules` know it; None for what no model needs."""
        if any(re.search(pattern, name) for pattern in self._family.leftovers):
            return None
        for pattern, usual in self._family.renamed:
            name = re.sub(pattern, usual, name)
        return self._family.prefix + name if bare and name != self._family.head else name

    def _repeated(self, rule: Rule, again: Sequence[str]) -> Rule:
        """The embedding's rule, where it is stored under other names as well: as the head, if the two are tied."""

        def same(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
            import torch

            embedding, *others = tensors
            for name, other in zip(again, others, strict=True):
                if torch.equal(embedding, other):
                    continue
                if name == self._family.head:
                    raise CheckpointError(
                        f"{self._path}: config.json ties '{self._stored[name]}' to the embedding "
                        '(tie_word_embeddings), but the two differ; let it say "tie_word_embeddings": false, or leave '
                        "the head out."
                    )
                raise CheckpointError(
                    f"{self._path}: '{self._stored[name]}' and '{self._stored[rule.stored[0]]}' differ, but a model of "
                    "this kind has one embedding; it is another kind's."
                )
            return [embedding]

        return replace(rule, stored=(*rule.stored, *again), load=same)

    def _check(self) -> None:
        for name in self._rules:
            if name not in self._stored:
                raise CheckpointError(f"{self._path} lacks the weights '{name}'; it is not a complete checkpoint.")
        for name, usual in self._usual.items():
            if usual not in self._rules:
                raise CheckpointError(
                    f"{self._path}: the weights '{name}' belong to no part that the configuration names; it is another "
                    "model's."
                )


def in_layout(config: AnyConfig, weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Our tensors as the folders of the configuration's family have them, made one rule after another."""
    for rule in FAMILIES[config.architecture].rules(config, ()):
        yield from zip(rule.stored, rule.save([weights[name] for name in rule.ours]), strict=True)
