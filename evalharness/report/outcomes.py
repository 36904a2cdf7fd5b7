"""What a report says of verdicts, uses of tools, and what was wrong with function calls: how often there was which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from html import escape

from evalharness.pages.badges import badge_class
from evalharness.pages.charts import shares_bar
from evalharness.report.reading import Facts, Reported
from evalharness.report.tables import Cell, counted, number, table, text


def outcomes(reported: Reported) -> str:
    """Empty where no judge was asked, no tool used, and no call explained."""
    judges = dict.fromkeys(judge for sample in reported.facts for judge, _ in sample.verdicts)
    told = "".join(_judged(reported, judge) for judge in judges)
    tools = (f"{tool}: {status}" for sample in reported.facts for tool, status in sample.tools)
    beside = counted("Uses of tools", "tool and status", tools)
    beside += counted("Kinds of wrong calls", "kind", (kind for sample in reported.facts for kind in sample.kinds))
    return told + (f'<h3>Tools and calls</h3>\n<div class="beside">{beside}</div>\n' if beside else "")


def _judged(reported: Reported, judge: str) -> str:
    """A bar of all verdicts of a judge, its legend, and a bar of each subject where there are several."""
    counts = _labels(reported.facts, judge)
    whole = sum(counts.values())
    samples = sum(any(name == judge for name, _ in sample.verdicts) for sample in reported.facts)
    rows = [
        [
            Cell(f'<span class="swatch {badge_class(label)}"></span> {escape(label)}'), number(count, ",d"),
            number(count / whole, ".1%"),
        ]
        for label, count in counts.most_common()
    ]  # fmt: skip
    said = f"{_counted(whole, 'verdict')} of {judge} on {_counted(samples, 'sample')}"
    told = f"<h3>Verdicts: {escape(judge)}</h3>\n<p>{escape(said)}.</p>\n"
    told += shares_bar(counts.most_common(), title=said)
    told += table("Verdicts by label", ("label", "verdicts", "share"), rows, sortable=False)
    subsets = sorted({sample.subset for sample in reported.facts if sample.subset is not None})
    if len(subsets) < 2:
        return told
    return told + _by_subject(reported, judge, subsets, [label for label, _ in counts.most_common()])


def _by_subject(reported: Reported, judge: str, subsets: list[str], labels: list[str]) -> str:
    rows = []
    for subset in subsets:
        counts = _labels((sample for sample in reported.facts if sample.subset == subset), judge)
        drawn = [(label, counts[label]) for label in labels if counts[label]]
        bar = shares_bar(drawn, title=f"Verdicts of {subset}", width=180, height=12) if drawn else ""
        rows.append([text(subset), Cell(bar), *(number(counts[label], ",d") for label in labels)])
    return table("Verdicts by subject; a column's title sorts by it", ("subject", "", *labels), rows)


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _labels(facts: Iterable[Facts], judge: str) -> Counter[str]:
    return Counter(label for sample in facts for name, label in sample.verdicts if name == judge)
