"""A comparison as lines for a terminal, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evalharness.comparison.abilities import by_ability
from evalharness.comparison.compare import POWER, Comparison
from evalharness.comparison.difference import Difference
from evalharness.comparison.wording import ids, interval, number, p, signed, unsigned
from evalharness.text_table import columns, markdown_table

HEAD = ("task", "metric", "baseline", "candidate", "difference", "95 % interval", "p", "p adjusted", "n", "flips", "")


def text(comparisons: Sequence[Comparison], *, subjects: bool = False) -> list[str]:
    """A table, a sentence for each comparison, and the samples that flipped."""
    lines = columns([HEAD, *(_row(comparison) for comparison in comparisons)])
    for comparison in comparisons:
        lines += ["", f"{comparison.name}: {sentence(comparison)}"]
        lines += [f"  {line}" for line in _details(comparison, subjects)]
    return lines + _abilities(comparisons)


def markdown(comparisons: Sequence[Comparison]) -> list[str]:
    """The table, and a sentence for each comparison."""
    lines = markdown_table([HEAD, *(_row(comparison) for comparison in comparisons)])
    return lines + [""] + [f"- **{comparison.name}**: {sentence(comparison)}" for comparison in comparisons]


def sentence(comparison: Comparison) -> str:
    """The conclusion: who is better, or what these samples could have seen."""
    found, candidate = comparison.difference, comparison.pair.candidate.model_name
    forced = f" [FORCED, although {'; '.join(comparison.pair.obstacles)}]" if comparison.pair.obstacles else ""
    if comparison.verdict == "equal":
        return f"every one of the {found.n} scores is equal.{forced}"
    if comparison.verdict in ("better", "worse"):
        return (
            f"{candidate} is {comparison.verdict}, by {unsigned(found.value, found)} {interval(found)} "
            f"(p {p(comparison.p_adjusted)}).{forced}"
        )
    if comparison.detectable is None:
        return f"{found.n} samples are too few to tell a difference.{forced}"
    could = unsigned(comparison.detectable, found)
    return f"no difference found; this n could have seen {could} ({found.n} samples, power {POWER:.0%}).{forced}"


def _abilities(comparisons: Sequence[Comparison]) -> list[str]:
    rows = [("ability", "candidate", "mean difference", "95 % interval", "tasks")]
    for found in by_ability(comparisons):
        low, high = found.estimate.low, found.estimate.high
        interval = "no interval" if low is None or high is None else f"[{100 * low:+.1f}, {100 * high:+.1f}]"
        points = f"{100 * found.estimate.value:+.1f} points"
        rows.append((found.ability, found.candidate, points, interval, ", ".join(found.tasks)))
    return ["", *columns(rows)] if len(rows) > 1 else []


def _row(comparison: Comparison) -> tuple[str, ...]:
    found = comparison.difference
    forced = "FORCED: " + "; ".join(comparison.pair.obstacles) if comparison.pair.obstacles else ""
    return (
        comparison.name,
        f"{found.metric} {'↑' if found.higher_is_better else '↓'}",
        number(found.baseline),
        number(found.candidate),
        signed(found.value, found),
        interval(found),
        p(found.p_value),
        p(comparison.p_adjusted),
        str(found.n),
        f"+{len(found.better)} -{len(found.worse)}",
        forced or comparison.verdict,
    )


def _details(comparison: Comparison, subjects: bool) -> list[str]:
    found, pair = comparison.difference, comparison.pair
    lines = [f"baseline {pair.baseline.model_name} ({pair.baseline.place}), candidate {pair.candidate.place}"]
    lines += [f"note: {note}" for note in pair.notes]
    lines.append(f"test: {found.test}; correlation of the scores {found.correlation:.2f}")
    if (changed := comparison.answers_changed) is not None:
        lines.append(f"answers: {changed.changed} of {changed.of} are others than the baseline's, right or wrong")
    if repeats := _repeats(comparison):
        lines.append(repeats)
    for name, samples in (("better", found.better), ("worse", found.worse)):
        if samples:
            lines.append(f"{name} on {len(samples)}: {ids(samples)}")
    parts = {**comparison.groups, **(comparison.subjects if subjects else {})}
    rows = [
        (name, number(part.baseline), number(part.candidate), signed(part.value, part), interval(part), str(part.n))
        for name, part in parts.items()
    ]
    return lines + columns(rows) if rows else lines


def _repeats(comparison: Comparison) -> str | None:
    """How much of the error more repeats could take out."""
    before, after = comparison.detectable, comparison.detectable_with_more_repeats
    if before is None or after is None:
        return None
    found = comparison.difference
    return (
        f"repeats: {comparison.share_of_repeats:.0%} of the error's square comes from them; ever more of them could "
        f"lower what these samples see from {unsigned(before, found)} to {unsigned(after, found)}"
    )


def as_json(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Everything, the ids of flipped samples included."""
    return [
        {
            "task": comparison.task,
            "variant": comparison.pair.candidate.variant,
            "ability": comparison.ability,
            "verdict": comparison.verdict,
            "sentence": sentence(comparison),
            "baseline": _side(comparison.pair.baseline),
            "candidate": _side(comparison.pair.candidate),
            **facts(comparison.difference),
            "p_adjusted": comparison.p_adjusted,
            "detectable": comparison.detectable,
            "share_of_repeats": comparison.share_of_repeats,
            "answers_changed": comparison.answers_changed and comparison.answers_changed.changed,
            "forced": list(comparison.pair.obstacles),
            "notes": list(comparison.pair.notes),
            "better": list(comparison.difference.better),
            "worse": list(comparison.difference.worse),
            "subjects": {name: facts(part) for name, part in comparison.subjects.items()},
            "groups": {name: facts(part) for name, part in comparison.groups.items()},
        }
        for comparison in comparisons
    ]


def _side(scores: Any) -> dict[str, Any]:
    return {"run": scores.run, "place": scores.place, "model": scores.model_name, "samples": len(scores.samples)}


def facts(found: Difference) -> dict[str, Any]:
    """A difference as plain JSON."""
    low_high = found.interval()
    return {
        "metric": found.metric,
        "higher_is_better": found.higher_is_better,
        "n": found.n,
        "units": found.units,
        "baseline_score": found.baseline,
        "candidate_score": found.candidate,
        "difference": found.value,
        "low": low_high and low_high[0],
        "high": low_high and low_high[1],
        "standard_error": found.standard_error,
        "p": found.p_value,
        "test": found.test,
        "correlation": None if found.correlation != found.correlation else found.correlation,
        "fixed": len(found.better),
        "broken": len(found.worse),
    }
