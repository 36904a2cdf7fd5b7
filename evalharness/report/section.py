"""The section of one run: facts, scores, calibration, positions, outputs, cost, samples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote

from evalharness.comparison.wording import p
from evalharness.pages.charts import histogram, reliability_diagram, whisker_bar
from evalharness.records.run import ScoreRecord
from evalharness.report.choices import Choice, Positions, calibration, positions
from evalharness.report.heading import heading
from evalharness.report.outcomes import outcomes
from evalharness.report.reading import Output, Reported
from evalharness.report.samples import Packed
from evalharness.report.tables import Cell, counted, facts, number, shown, table, text


def section(reported: Reported, anchor: str, samples: Packed) -> str:
    """Everything about one run.

    Args:
        anchor: the run's name within the page.
    """
    id = f"run-{quote(anchor, safe='')}"
    choices = [sample.choice for sample in reported.facts if sample.choice is not None]
    return (
        f'<section class="run" id="{id}" aria-labelledby="{id}-title">\n'
        f'<h2 id="{id}-title">{escape(anchor)}</h2>\n'
        + heading(reported)
        + _scores(reported)
        + _repeats(reported)
        + _calibration(choices, len(reported.facts))
        + _positions(choices)
        + outcomes(reported)
        + _outputs(reported)
        + _cost(reported)
        + _samples(reported, anchor, samples)
        + "</section>\n"
    )


# ---------------------------------------------------------------------------------------------------------- scores


def _scores(reported: Reported) -> str:
    results = reported.results
    head = ("metric", "score", "low", "high", "", "interval", "standard error", "n", "better")
    rows = [[text(name), *_estimate(score), text("higher" if score.higher_is_better else "lower")]
            for name, score in results.scores.items()]  # fmt: skip
    told = "<h3>Scores</h3>\n" + table("Every metric with its 95 % interval", head, rows)
    for name, parts in (("group", results.groups), ("subject", results.subsets)):
        if parts:
            told += f"<h3>Scores by {name}</h3>\n" + _parts(name, parts)
    return told


def _estimate(score: ScoreRecord) -> list[Cell]:
    most = max(1.0, *(value for value in (score.value, score.high) if value is not None and math.isfinite(value)), 0.0)
    bar = Cell(whisker_bar(score.value, score.low, score.high, most=most))
    return [
        number(score.value), number(score.low), number(score.high), bar, text(score.interval),
        number(score.standard_error), number(score.n, ",d"),
    ]  # fmt: skip


def _parts(name: str, parts: Mapping[str, Mapping[str, ScoreRecord]]) -> str:
    head = (name, "metric", "score", "low", "high", "", "interval", "standard error", "n")
    rows = [
        [text(part), text(metric), *_estimate(score)]
        for part, scores in parts.items()
        for metric, score in scores.items()
    ]
    return table(f"Every {name} with its 95 % interval; a column's title sorts by it", head, rows)


def _repeats(reported: Reported) -> str:
    found = {name: score.repeats for name, score in reported.results.scores.items() if score.repeats is not None}
    if not found:
        return ""
    most = max(len(repeats.pass_at) for repeats in found.values())
    head = ("metric", "repeats", "variance between samples", "within a sample", "share of the error's square")
    parts = [
        [
            text(name), number(repeats.repeats), number(repeats.between), number(repeats.within),
            number(repeats.share, ".0%"),
        ]
        for name, repeats in found.items()
    ]  # fmt: skip
    chances = [
        [text(f"{name}, {said}"), *(number(value) for value in values)]
        for name, repeats in found.items()
        for said, values in (("at least one right: pass@k", repeats.pass_at), ("all right: pass^k", repeats.pass_all))
        if values
    ]
    told = (
        "<h3>Repeats</h3>\n"
        "<p>The error of a mean over repeats has two sources: samples that differ from each other, which more samples "
        "average out, and answers to one sample that differ from repeat to repeat, which more repeats do.</p>\n"
        + table("Where the variance comes from", head, parts, sortable=False)
    )
    if chances:
        told += table("By number of repeats", ("", *(f"k = {k}" for k in range(1, most + 1))), chances, sortable=False)
    return told


# --------------------------------------------------------------------------------------------------------- choices


def _calibration(choices: Sequence[Choice], samples: int) -> str:
    found = calibration(choices)
    if found is None:
        return ""
    rows = [
        [
            text(f"{point.low:.1f} to {point.high:.1f}"), number(point.n, ",d"),
            number(point.confidence if point.n else None), number(point.accuracy if point.n else None),
        ]
        for point in found.bins
    ]  # fmt: skip
    left_out = f" {samples - found.n:,} samples have none, or several right choices." if samples > found.n else ""
    return (
        "<h3>Calibration</h3>\n"
        "<p>The confidence of a choice is its share of the softmax over the choices' total log-likelihoods; the "
        "likeliest one counts as chosen. A model is calibrated where the chosen one is right as often as its "
        "confidence says: then the points lie on the diagonal. The expected calibration error is the mean distance "
        "from it over ten bins of equal width, weighted by their samples; the Brier score is the squared distance of "
        f"all shares from the right answer, from 0 to 2. Whiskers are 95 % intervals (Wilson).{left_out}</p>\n"
        + facts(
            [
                ("Expected calibration error", shown(found.error)),
                ("Brier score", shown(found.brier)),
                ("Mean confidence", shown(found.confidence)),
                ("Accuracy of the likeliest choice", shown(found.accuracy)),
                ("Samples", f"{found.n:,}"),
            ]
        )
        + '<div class="beside">'
        + reliability_diagram(
            found.bins, title=f"Reliability diagram: expected calibration error {shown(found.error)}, {found.n} samples"
        )
        + table("Bins of confidence", ("confidence", "samples", "mean confidence", "accuracy"), rows, sortable=False)
        + "</div>\n"
    )


def _positions(choices: Sequence[Choice]) -> str:
    found = positions(choices)
    if found is None:
        return ""
    names = [chr(ord("A") + place) for place in range(len(found.table))]
    confusion = [
        [text(f"{names[right]} is right"), *(number(count, ",d") for count in row)]
        for right, row in enumerate(found.table)
    ]
    shares = [
        [
            text(name), number(found.chosen[place] / found.n), number(found.right[place] / found.n),
            number(found.chosen[place] / found.n - found.right[place] / found.n, "+.4f"),
        ]
        for place, name in enumerate(names)
    ]  # fmt: skip
    return (
        "<h3>Positions of choices</h3>\n"
        f"<p>{_bias(found)} (p {escape(p(found.p_value))}, chi-square test of marginal homogeneity, Stuart and "
        f"Maxwell; {found.n:,} samples with one right choice).</p>\n"
        '<div class="beside">'
        + table(
            "Samples by right and chosen position", ("", *(f"{name} chosen" for name in names)), confusion,
            sortable=False,
        )
        + table("Position bias", ("position", "share chosen", "share right", "difference"), shares)
        + "</div>\n"
    )  # fmt: skip


def _bias(found: Positions) -> str:
    if found.p_value >= 0.05:
        return "No position bias was found: no position is chosen more often, or less, than it is right"
    apart = [chosen - right for chosen, right in zip(found.chosen, found.right, strict=True)]
    place = max(range(len(apart)), key=lambda each: abs(apart[each]))
    more = "more" if apart[place] > 0 else "less"
    return f"Position bias: most of all, {chr(ord('A') + place)} is chosen {more} often than it is right"


# --------------------------------------------------------------------------------------------------------- outputs


def _outputs(reported: Reported) -> str:
    outputs = [output for sample in reported.facts for output in sample.outputs]
    counts, n = reported.results.counts, len(reported.facts)
    flags = [[text(flag), number(count, ",d"), number(count / n, ".1%")] for flag, count in counts.items()]
    told = "<h3>Errors and flags</h3>\n" + '<div class="beside">'
    told += table(f"Flags of {n:,} samples", ("flag", "samples", "share"), flags, sortable=False)
    told += counted("Why nothing was read", "reason", (why for each in reported.facts for why in each.reasons))
    told += counted("Why samples failed", "error", (each.error for each in reported.facts if each.error))
    told += "</div>\n"
    if not outputs:
        return told
    stops = (repr(output.stop) for output in outputs if output.stop is not None)
    return (
        told
        + "<h3>Outputs</h3>\n"
        + _lengths(outputs)
        + '<div class="beside">'
        + counted("What ended the outputs", "reason", (output.finish_reason for output in outputs))
        + counted("Stop strings that ended them", "stop string", stops)
        + "</div>\n"
    )


def _lengths(outputs: Sequence[Output]) -> str:
    tokens = [output.tokens for output in outputs if output.tokens is not None]
    unit = "generated tokens" if tokens else "characters (nobody counted the tokens)"
    lengths = sorted(tokens or [output.characters for output in outputs])
    said = (
        f"{len(lengths):,} outputs: median {lengths[len(lengths) // 2]:,}, mean {sum(lengths) / len(lengths):,.1f}, "
        f"longest {lengths[-1]:,} {unit}"
    )
    return f"<p>{escape(said)}.</p>\n" + histogram(lengths, title=f"Lengths of outputs; {said}", unit=unit)


# ------------------------------------------------------------------------------------------------------------ cost


def _cost(reported: Reported) -> str:
    results = reported.results
    seconds = results.seconds
    rows = [(_told(name), f"{count:,}") for name, count in results.usage.items()]
    if seconds > 0:
        rows += [("Seconds", f"{seconds:,.1f}"), ("Seconds a sample", f"{seconds / len(reported.facts):,.3f}")]
    rows += [(f"Spent: {name.replace('_', ' ')}", f"{value:,.10g}") for name, value in results.spent.items()]
    told = "<h3>Cost</h3>\n" + facts(rows) if rows else ""
    if results.engine:
        engine = [(_told(name), f"{value:,.10g}") for name, value in results.engine.items()]
        told += "<h4>Engine, last session</h4>\n" + facts(engine)
    return told


def _told(name: str) -> str:
    return name.replace("_", " ").capitalize()


# --------------------------------------------------------------------------------------------------------- samples


def _samples(reported: Reported, anchor: str, samples: Packed) -> str:
    n = len(reported.facts)
    held = "All" if samples.samples == n else f"{samples.samples:,} of {n:,}"
    then = "wrong ones, then the others" if reported.judged else "the others, the worst before the better"
    missing = "" if samples.samples == n else " The others come with <code>--full</code>."
    return (
        f'<section class="samples" data-run="{escape(anchor)}" aria-label="Samples of {escape(anchor)}">\n'
        f"<h3>Samples</h3>\n<p>{held} samples are in this file, by <code>{escape(reported.metric)}</code>: failed, "
        f"flipped and unparsed ones first, then {then}.{missing}</p>\n"
        "<noscript><p>The samples are compressed; showing them needs JavaScript.</p></noscript>\n"
        f'<div class="controls">{_filters(reported)}'
        '<button type="button" data-control="previous" disabled>Previous</button>'
        '<button type="button" data-control="next" disabled>Next</button>'
        '<span role="status"></span></div>\n<div class="list"></div>\n'
        f'<script type="application/json">{samples.json}</script>\n</section>\n'
    )


def _filters(reported: Reported) -> str:
    outcomes = Counter(reported.outcome(sample) for sample in reported.facts)
    flags = Counter(flag for sample in reported.facts for flag in sample.flags)
    if reported.flips:
        flags["flipped"] = len(reported.flips)
    kinds = [("", f"all ({len(reported.facts):,})")]
    kinds += [(kind, f"{kind} ({count:,})") for kind, count in [*outcomes.items(), *sorted(flags.items())]]
    subsets = sorted({sample.subset for sample in reported.facts if sample.subset is not None})
    told = _select("outcome", "Show", kinds)
    if labels := Counter(label for sample in reported.facts for label in sample.labels):
        listed = [(label, f"{label} ({count:,})") for label, count in labels.most_common()]
        told += _select("verdict", "Verdict", [("", "any"), *listed])
    if len(subsets) > 1:
        told += _select("subset", "Subject", [("", "all"), *((subset, subset) for subset in subsets)])
    return told + '<label>Text <input type="search" data-control="text" autocomplete="off"></label>'


def _select(control: str, label: str, options: Sequence[tuple[str, str]]) -> str:
    listed = "".join(f'<option value="{escape(value)}">{escape(told)}</option>' for value, told in options)
    return f'<label>{label} <select data-control="{control}" autocomplete="off">{listed}</select></label>'
