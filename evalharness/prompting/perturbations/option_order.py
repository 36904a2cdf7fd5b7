"""The options of a choice question in another order."""

from __future__ import annotations

from random import Random
from typing import Literal

from evalharness.prompting.perturbations.base import Perturbation


class OptionOrder(Perturbation):
    """Options change places, and what is right moves along; letters before them stay in order.

    `rate` is the share of samples whose options are reordered, all by default.
    """

    perturbation: str = "option_order"
    to: Literal["shuffled", "reversed"] = "shuffled"
    """Drawn among all other orders, or the last one first."""

    def order(self, count: int, random: Random) -> tuple[int, ...]:
        given = tuple(range(count))
        if count < 2 or random.random() >= self.rate:
            return given
        if self.to == "reversed":
            return given[::-1]
        drawn = given
        while drawn == given:
            keys = [random.random() for _ in given]
            drawn = tuple(sorted(given, key=keys.__getitem__))
        return drawn
