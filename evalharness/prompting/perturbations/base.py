"""What every perturbation is: options of its own, and pure functions of what is asked and a random stream."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from pydantic import Field

from evalharness.answers.base import build_named
from evalharness.errors import DataError
from evalharness.options import Options


@dataclass(frozen=True, slots=True)
class Wording:
    """What takes the place of a task's own words; None leaves them."""

    template: str | None = None
    """Name of a template in prompts/."""
    question: str | None = None
    """Name of one of the task's `prompt.wordings`."""


class Perturbation(Options):
    """One way to put a question otherwise. Subclasses are the entries of a task's `perturb:`.

    Each hook leaves its subject as it is unless a subclass says otherwise. A draw takes `Random.random` alone, whose
    sequence Python promises to keep.
    """

    version: ClassVar[int] = 1
    """Raised with every change of what is asked; part of the protocol's hash."""

    perturbation: str
    """Registered name."""
    rate: float = Field(default=1.0, ge=0.0, le=1.0)
    """Share of what could be changed (words, gaps, samples) that is changed; 0 changes nothing."""
    seed: int = 0
    """Decides every draw of it, together with the task, the sample and its name."""
    demonstrations: bool = False
    """Whether demonstrations are perturbed too, and not the question alone."""

    def text(self, text: str, random: Random) -> str:
        """A text that the row brings into the question, perturbed."""
        return text

    def order(self, count: int, random: Random) -> tuple[int, ...]:
        """The position that each of `count` options had before."""
        return tuple(range(count))

    def wording(self, known: Sequence[str], random: Random) -> Wording:
        """In which words the question is put; `known` are those that the task offers (`prompt.wordings`)."""
        return Wording()


def build_perturbations(specs: Sequence[str | Mapping[str, Any]], where: str) -> tuple[Perturbation, ...]:
    """The perturbations that a task's `perturb:` lists: names, or ``{perturbation: name, ...options}``.

    Raises:
        DataError: an unknown one, a wrong option, or one listed twice.
    """
    built = tuple(
        build_named("perturbation", spec, f"{where}[{number}]", Perturbation) for number, spec in enumerate(specs)
    )
    names = [each.perturbation for each in built]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{where}: '{name}' is listed twice; one entry draws one random stream.")
    return built


def stream(perturbation: Perturbation, task: str, sample_id: str, part: int = 0) -> Random:
    """The random stream of a perturbation for one text of one sample.

    It depends on (seed, task, sample id, name), and on the text's number in the question where the row brings several:
    never on the order of samples, on batches or on a limit.
    """
    key = f"{perturbation.seed}\n{task}\n{sample_id}\n{perturbation.perturbation}\n{part}"
    return Random(int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8], "big"))


def below(random: Random, count: int) -> int:
    """A whole number from 0 to ``count - 1``, all alike."""
    return int(random.random() * count)
