"""Runs as one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from html import escape
from pathlib import Path
from urllib.parse import quote

from evalharness.pages.shell import asset, page
from evalharness.records.folder import Run
from evalharness.report.differences import compared, difference_section, flips_of
from evalharness.report.heading import title
from evalharness.report.reading import Reported, read_reported
from evalharness.report.samples import packed
from evalharness.report.section import section
from evalharness.report.tables import Cell, number, shown, table, text


def report(runs: Sequence[Run], *, metric: str | None = None, full: bool = False) -> bytes:
    """The HTML of a report, UTF-8.

    Args:
        metric: by which samples are right and wrong and runs are compared; each task's first one.
        full: embed every sample whole, not the first 2,000.

    Raises:
        UsageError: a run has no such metric.
        DataError: a run holds no sample, or a file is damaged.
        DiskError: a file cannot be read.
    """
    read = [read_reported(run, metric) for run in runs]
    anchors = _anchors([reported.record.id for reported in read])
    pairs = compared(read, metric)
    read = [replace(reported, flips=flips_of(place, pairs)) for place, reported in enumerate(read)]
    body = _contents(read, anchors) if len(read) > 1 else ""
    body += "".join(difference_section(read, anchors, pair) for pair in pairs)
    for reported, anchor in zip(read, anchors, strict=True):
        body += section(reported, anchor, packed(reported, full=full))
    name = title(read[0].record) if len(read) == 1 else f"Report of {len(read)} runs"
    styles, scripts = [asset("code.css"), _asset("report.css")], [_asset("evidence.js"), _asset("report.js")]
    html = page(name, body, styles=styles, scripts=scripts)
    # A lone surrogate, which a journal can hold and UTF-8 cannot, is a question mark here.
    return html.encode("utf-8", errors="replace")


@cache
def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _anchors(ids: Sequence[str]) -> list[str]:
    """The runs' ids, made different where two are the same."""
    anchors: list[str] = []
    for id in ids:
        number = 1 + sum(other == id for other in ids[: len(anchors)])
        anchors.append(id if number == 1 else f"{id}-{number}")
    return anchors


def _contents(runs: Sequence[Reported], anchors: Sequence[str]) -> str:
    rows = []
    for reported, anchor in zip(runs, anchors, strict=True):
        score, record = reported.results.scores[reported.metric], reported.record
        link = f'<a href="#run-{quote(anchor, safe="")}">{escape(anchor)}</a>'
        interval = f"{shown(score.low)} to {shown(score.high)}"
        rows.append(
            [
                Cell(link), text(record.task), text(record.protocol), text(record.model.get("name")),
                text(reported.metric), number(score.value), text(interval), number(score.n, ",d"),
            ]
        )  # fmt: skip
    head = ("run", "task", "protocol", "model", "metric", "score", "95 % interval", "n")
    return table("Runs of this report", head, rows)
