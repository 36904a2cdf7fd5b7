"""Trainings as one page: curves, scores of checkpoints, what happened, what was asked; several beside one another."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import median
from typing import Any

from evalharness.pages.line_chart import Point
from evalharness.pages.shell import asset, page
from evalharness.report.tables import Cell, facts, number, shown, table, text
from evalharness.report.training_figures import figures
from evalharness.report.training_log import Row, TrainingLog, read_training, smoothed


def training_report(folders: Sequence[Path]) -> bytes:
    """The HTML of trainings' folders, UTF-8.

    Raises:
        UsageError: a folder is no training's.
        DataError: a file is damaged.
    """
    trainings = [read_training(folder) for folder in folders]
    names, several = _names(trainings), len(trainings) > 1
    body = _overview(trainings, names) + _differences(trainings, names) if several else _heading(trainings[0])
    body += "".join(map(_changes, trainings))
    body += "<h2>Curves</h2>\n" if any(training.rows for training in trainings) else "<p>No step is logged yet.</p>\n"
    body += figures(trainings, names)
    for training, name in zip(trainings, names, strict=True):
        body += _section(training, name if several else None)
    title = f"{len(trainings)} trainings" if several else f"Training {names[0]}"
    return page(title, body, styles=[asset("curves.css"), _style()]).encode("utf-8", errors="replace")


def _style() -> str:
    return (Path(__file__).parent / "report.css").read_text(encoding="utf-8")


def _names(trainings: Sequence[TrainingLog]) -> list[str]:
    """Folders' names, or their paths where two have one name."""
    names = [training.name for training in trainings]
    return [
        name if names.count(name) == 1 else str(training.folder)
        for name, training in zip(names, trainings, strict=True)
    ]


# --------------------------------------------------------------------------- what came of it


def _heading(training: TrainingLog) -> str:
    validation = training.points("validation_loss")
    best = min(validation, key=lambda point: point.y, default=None)
    told = [
        ("Steps", _steps(training)),
        ("Tokens", _shown(_last(training.points("tokens")), ",.0f")),
        ("Training loss", _shown(_last_loss(training))),
        ("Validation loss", f"{shown(validation[-1].y)}; least {shown(best.y)} at step {best.x:,}" if best else ""),
        *((f"{task}, {metric}", value) for (task, metric), value in _last_scores(training).items()),
        ("Time", _shown(_last(training.points("seconds")), ",.1f", " s in steps")),
        ("Tokens a second", _shown(_median(training.points("tokens_per_second")), ",.0f", " (median)")),
        ("Share of the peak", _shown(_median(training.points("peak_share")), ".1%", " (median)")),
        ("Machine", ", ".join(f"{key} {value}" for key, value in _leaves(training.asked.get("machine", {})))),
    ]
    return facts([(name, escape(value)) for name, value in told])


def _overview(trainings: Sequence[TrainingLog], names: Sequence[str]) -> str:
    scored = list(dict.fromkeys(key for training in trainings for key in training.scores()))
    head = ["training", "steps", "tokens", "training loss", "validation loss"]
    head += [f"{task}, {metric}" for task, metric in scored] + ["seconds", "tokens a second"]
    rows = []
    for training, name in zip(trainings, names, strict=True):
        scores = training.scores()
        rows.append(
            [
                text(name), text(_steps(training)), number(_last(training.points("tokens")), ",.0f"),
                number(_last_loss(training)), number(_last(training.points("validation_loss"))),
                *(number(_last(scores[key].points) if key in scores else None) for key in scored),
                number(_last(training.points("seconds")), ",.1f"),
                number(_median(training.points("tokens_per_second")), ",.0f"),
            ]
        )  # fmt: skip
    return table("Trainings of this report, each at its end", head, rows)


def _changes(training: TrainingLog) -> str:
    """What a fine-tuning has changed: paired, on the samples that the model was asked before and after."""
    if not training.changes:
        return ""
    head = ("task", "metric", "before", "after", "difference", "95 % interval", "p adjusted", "n", "verdict")
    rows = [
        [
            text(str(row.get("task"))), text(str(row.get("metric"))),
            *(number(row.get(key)) for key in ("baseline_score", "candidate_score", "difference")),
            text(f"{shown(row['low'])} to {shown(row['high'])}" if row.get("low") is not None else "–"),
            number(row.get("p_adjusted")), number(row.get("n"), ",d"), text(str(row.get("verdict"))),
        ]
        for row in training.changes
    ]  # fmt: skip
    return table(f"{training.name}: before and after", head, rows)


def _differences(trainings: Sequence[TrainingLog], names: Sequence[str]) -> str:
    options = [dict(_leaves(training.asked.get("options", {}))) for training in trainings]
    keys = list(dict.fromkeys(key for leaves in options for key in leaves))
    differing = [key for key in keys if len({str(leaves.get(key)) for leaves in options}) > 1]
    if not differing:
        return "<p>Their options are the same.</p>\n"
    rows = [[text(key), *(_value(leaves, key) for leaves in options)] for key in differing]
    return table("Options by which they differ", ("option", *names), rows, sortable=False)


def _value(leaves: Mapping[str, Any], key: str) -> Cell:
    return text(leaves[key]) if key in leaves else text("–")


def _steps(training: TrainingLog) -> str:
    done = max((row["step"] for row in training.rows), default=0)
    wanted = training.asked.get("options", {}).get("steps")
    return f"{done:,} of {wanted:,}" if isinstance(wanted, int) else f"{done:,}"


def _last(points: Sequence[Point]) -> float | None:
    return points[-1].y if points else None


def _last_loss(training: TrainingLog) -> float | None:
    losses = training.points("loss")
    return _last(smoothed(losses) or losses)


def _last_scores(training: TrainingLog) -> dict[tuple[str, str], str]:
    found = {}
    for key, scored in training.scores().items():
        if scored.points:
            last = scored.points[-1]
            interval = "" if last.low is None else f" ({shown(last.low)} to {shown(last.high)})"
            found[key] = f"{shown(last.y)}{interval} at step {last.x:,}, n {scored.samples[-1]}"
    return found


def _median(points: Sequence[Point]) -> float | None:
    values = [point.y for point in points if math.isfinite(point.y)]
    return median(values) if values else None


def _shown(value: float | None, form: str = ".4g", unit: str = "") -> str:
    return "" if value is None else f"{shown(value, form)}{unit}"


# --------------------------------------------------------------------------- what happened, what was asked


def _section(training: TrainingLog, name: str | None) -> str:
    rows = [[number(step, ",d"), text(event), text(what)] for step, event, what in _happened(training)]
    body = table("What happened", ("step", "event", "what"), rows) if rows else ""
    if training.asked:
        asked = json.dumps(training.asked, indent=1, ensure_ascii=False)
        summary = "<summary>All options, the model and the machine</summary>"
        body += f"<details>{summary}<pre>{escape(asked)}</pre></details>\n"
    body = "".join(f'<p class="note">{escape(note)}</p>\n' for note in _notes(training)) + body
    heading = f"<h2>{escape(name)}</h2>\n" if name is not None else "<h2>Course and options</h2>\n"
    return heading + body if body else ""


def _notes(training: TrainingLog) -> Iterator[str]:
    """What a reader must know of the last checkpoint's scores."""
    for row in training.evaluations[-1:]:
        for task, told in row.get("tasks", {}).items():
            if cut := told.get("counts", {}).get("cut"):
                yield (
                    f"{task}: {cut:,} prompts of step {row['step']:,} were longer than the model's context and lost "
                    "their beginning."
                )


def _happened(training: TrainingLog) -> Iterator[tuple[int, str, str]]:
    for row in training.events:
        yield row["step"], str(row["event"]), _what(row)
    for row in training.evaluations:
        if row.get("stop"):
            yield row["step"], "gate", str(row["stop"])
        for task, told in row.get("tasks", {}).items():
            if "error" in told:
                yield row["step"], "evaluation failed", f"{task}: {told['error']}"


def _what(row: Row) -> str:
    return "; ".join(f"{key}: {value}" for key, value in _leaves(row) if key not in ("step", "event"))


def _leaves(values: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """``optimizer.0.rate`` and the like, with their values."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _leaves(value, f"{place}.{key}" if place else str(key))
    elif isinstance(values, list) and any(isinstance(value, Mapping) for value in values):
        for number, value in enumerate(values):
            yield from _leaves(value, f"{place}.{number}")
    else:
        yield place, values
