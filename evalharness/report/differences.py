"""What a report says of two runs of one task: the difference with its interval, and the samples that flipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Literal
from urllib.parse import quote

from evalharness.comparison.compare import CORRECTIONS, Comparison, compare
from evalharness.comparison.compare_formats import sentence
from evalharness.comparison.difference import Difference
from evalharness.comparison.wording import interval, p, signed
from evalharness.errors import DataError, NotComparableError, UsageError
from evalharness.records.scores import Scores, scores_of_run
from evalharness.report.reading import Reported
from evalharness.report.tables import Cell, facts, number, table, text

MOST_FLIPS = 200
"""Flipped samples of each kind in the table; every one of them is marked among the samples."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A run beside the first one of its task."""

    baseline: int
    """Place among the runs of the report."""
    candidate: int
    found: Comparison | None
    why_not: str = ""


def compared(runs: Sequence[Reported], metric: str | None) -> list[Compared]:
    """Every run beside the first one of its task; where two do not compare, why. Adjusts p over all of them (Holm)."""
    first: dict[str, int] = {}
    found = []
    for place, reported in enumerate(runs):
        baseline = first.setdefault(reported.record.task, place)
        if baseline != place:
            found.append(_pair(runs, baseline, place, metric))
    p_values = [each.found.difference.p_value for each in found if each.found is not None]
    known = [value for value in p_values if value is not None]
    adjusted = iter(CORRECTIONS["holm"](known))
    return [
        replace(each, found=replace(each.found, p_adjusted=next(adjusted)))
        if each.found is not None and each.found.difference.p_value is not None
        else each
        for each in found
    ]


def _pair(runs: Sequence[Reported], baseline: int, candidate: int, metric: str | None) -> Compared:
    try:
        pair: list[Scores] = [scores_of_run(runs[place].run) for place in (baseline, candidate)]
        (comparison,) = compare(pair, metric=metric)
    # What cannot be compared can still be reported.
    except (NotComparableError, DataError, UsageError) as error:
        return Compared(baseline=baseline, candidate=candidate, found=None, why_not=str(error))
    return Compared(baseline=baseline, candidate=candidate, found=comparison)


def flips_of(place: int, pairs: Sequence[Compared]) -> Mapping[str, Literal["fixed", "broken"]]:
    """The flipped samples of a run; those of a baseline are those of its first candidate."""
    for pair in pairs:
        if pair.found is not None and place in (pair.baseline, pair.candidate):
            found = pair.found.difference
            return {**dict.fromkeys(found.better, "fixed"), **dict.fromkeys(found.worse, "broken")}
    return {}


def difference_section(runs: Sequence[Reported], anchors: Sequence[str], pair: Compared) -> str:
    """The section on one pair."""
    old, new = runs[pair.baseline].record, runs[pair.candidate].record
    told = (
        '<section class="run">\n'
        f"<h2>Difference: {escape(new.task)}, {escape(str(new.model.get('name')))} ({escape(anchors[pair.candidate])}) "
        f"less {escape(str(old.model.get('name')))} ({escape(anchors[pair.baseline])})</h2>\n"
    )
    if pair.found is None:
        return f'{told}<p class="note">No comparison: {escape(pair.why_not)}</p>\n</section>\n'
    found = pair.found.difference
    told += f"<p>{escape(sentence(pair.found))}</p>\n"
    told += "".join(f'<p class="faint">Note: {escape(note)}.</p>\n' for note in pair.found.pair.notes)
    told += facts(
        [
            ("Metric", f"{escape(found.metric)} ({'higher' if found.higher_is_better else 'lower'} is better)"),
            ("Baseline, candidate", f"{found.baseline:.4g}, {found.candidate:.4g}"),
            ("Difference", escape(f"{signed(found.value, found)} {interval(found)} (95 %)")),
            ("p of no difference", escape(f"{p(found.p_value)} ({found.test}), adjusted {p(pair.found.p_adjusted)}")),
            ("Shared samples", f"{found.n:,}"),
            ("Flips", f"{len(found.better):,} fixed, {len(found.worse):,} broken"),
        ]
    )
    told += _parts("group", pair.found.groups) + _parts("subject", pair.found.subjects)
    return told + _flips(found, pair, anchors) + "</section>\n"


def _parts(name: str, parts: Mapping[str, Difference]) -> str:
    if not parts:
        return ""
    rows = [
        [
            text(part), number(found.baseline), number(found.candidate),
            Cell(escape(signed(found.value, found)), found.value, number=True), text(interval(found)),
            Cell(escape(p(found.p_value)), found.p_value, number=True), number(found.n, ",d"),
        ]
        for part, found in parts.items()
    ]  # fmt: skip
    head = (name, "baseline", "candidate", "difference", "95 % interval", "p", "n")
    return table(f"Difference by {name}; p stands for each {name} by itself", head, rows)


def _flips(found: Difference, pair: Compared, anchors: Sequence[str]) -> str:
    kinds = (("fixed", found.better), ("broken", found.worse))
    rows = [
        [text(id), text(kind), *(_link(anchors[place], id) for place in (pair.baseline, pair.candidate))]
        for kind, ids in kinds
        for id in ids[:MOST_FLIPS]
    ]
    if not rows:
        return ""
    left_out = sum(max(0, len(ids) - MOST_FLIPS) for _, ids in kinds)
    more = f"; {left_out:,} more are marked among the samples" if left_out else ""
    listed = table(f"Flipped samples{more}", ("sample", "score", "baseline", "candidate"), rows)
    return (
        f"<details><summary>Flipped samples ({len(found.better) + len(found.worse):,})</summary>\n{listed}</details>\n"
    )


def _link(anchor: str, id: str) -> Cell:
    address = f"#run-{_quoted(anchor)}/sample-{_quoted(id)}"
    return Cell(f'<a href="{escape(address)}">open</a>')


def _quoted(name: str) -> str:
    return quote(name, safe="", errors="replace")
