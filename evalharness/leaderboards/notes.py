"""What a reader of the table must know, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from evalharness.leaderboards.matching import Filled
from evalharness.leaderboards.options import AVERAGE, Leaderboard

_WIN_RATE = (
    "The mean win rate (HELM) is the chance to beat another model of this table in one of its columns. It depends on "
    "the set of models: adding or taking out one changes the others' rates. It has no interval."
)


def notes(definition: Leaderboard, filled: Sequence[Filled]) -> tuple[str, ...]:
    """How numbers and ranks were made, what is a bundled sample; then the definition's own notes and the models'."""
    found = ["Intervals are 95 %. A cell that has none has too few samples for one."]
    found.append(_ranks(definition))
    if definition.average == "win_rate":
        found.append(_WIN_RATE)
    if definition.average == "macro":
        found.append("The average counts every averaged column alike; its interval takes the columns as independent.")
    if any(column.chance is not None for column in definition.columns):
        found.append("Normalised scores: 0 is guessing, 100 the best possible; what is below guessing is 0.")
    if left := [column.name for column in definition.columns if not column.averaged]:
        found.append(f"Not in the average: {', '.join(left)}.")
    for one in filled:
        if one.reference.demo:
            found.append(f"{one.column.name} is a bundled sample, not the benchmark.")
    found += definition.notes
    found += [f"{model.name}: {model.notes}" for model in definition.models if model.notes]
    return tuple(found)


def _ranks(definition: Leaderboard) -> str:
    by = definition.order.by
    alpha = f"p < {definition.alpha:g} after Holm's correction over all pairs"
    if by != AVERAGE:
        return (
            f"Ranks are by {by}: models share ranks where their answers to the same samples do not tell them apart "
            f"({alpha})."
        )
    if definition.average == "win_rate":
        return (
            "Ranks are by mean win rate: a model stands before another where its rate is higher, and it is separably "
            f"better in a column and separably worse in none ({alpha} of all columns)."
        )
    return (
        "Ranks are by the average: models share ranks where the paired differences of all columns together do not tell "
        f"them apart ({alpha})."
    )
