"""How often a model answers otherwise when it is asked otherwise: what scores alone do not tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalharness.comparison.pairing import Paired
from evalharness.records.folder import read_run
from evalharness.records.format import SAMPLES


@dataclass(frozen=True, slots=True)
class AnswersChanged:
    """Answers of two runs that differ, right or wrong."""

    changed: int
    of: int
    """Samples that both sides answered, or that one side answered and the other not."""


def answers_changed(pair: Paired) -> AnswersChanged | None:
    """Count the shared samples whose answers differ; None where a side is a baseline, which keeps no answers.

    An answer is the choice of the highest log-likelihood, wherever it is shown; else what the parser read.
    """
    places = [Path(side.place) for side in (pair.baseline, pair.candidate)]
    if not all((place / SAMPLES).is_file() for place in places):
        return None
    before, now = ({line["id"]: _answer(line) for line in read_run(place).lines()} for place in places)
    answers = [(before.get(old.id), now.get(old.id)) for old, _ in pair.samples]
    given = [(old, new) for old, new in answers if old is not None or new is not None]
    return AnswersChanged(sum(old != new for old, new in given), len(given))


def _answer(line: Mapping[str, Any]) -> str | int | None:
    """What was answered, a choice by the position that the data gives it; None where nothing was."""
    choices, order = line.get("choices", []), line.get("order") or []
    totals = line.get("log_likelihoods", [])
    chosen: int | None = None
    if choices and len(totals) == len(choices) and None not in totals:
        chosen = totals.index(max(totals))
    elif line.get("answer") in choices:
        chosen = choices.index(line["answer"])
    if chosen is not None:
        return int(order[chosen]) if order else chosen
    answer = line.get("answer")
    return None if answer is None else str(answer)
