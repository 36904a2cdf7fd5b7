"""The pictures of a training's page, each with its numbers in a table below."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape

from evalharness.pages.line_chart import Level, Line, Mark, Point, line_chart, wide
from evalharness.report.tables import Cell, number, shown, table, text
from evalharness.report.training_log import TrainingLog, smoothed

MOST_ROWS = 40
"""Steps of a table below a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One picture."""

    title: str
    lines: Sequence[Line]
    x_title: str = "step"
    marks: Sequence[Mark] = ()
    levels: Sequence[Level] = ()
    holds_x: Sequence[float] = ()
    holds_y: Sequence[float] = ()

    def html(self) -> str:
        """The picture, its lines in words, its numbers; nothing where there are none."""
        plain = bool(self.levels or self.holds_y) or all(line.kind == "scores" for line in self.lines)
        logarithmic = not plain and wide(point.y for line in self.lines for point in line.points)
        drawn = line_chart(
            self.lines,
            title=f"{self.title}. {' '.join(_told(line, self.x_title) for line in self.lines if _read(line))}",
            x_title=self.x_title,
            marks=self.marks,
            levels=self.levels,
            logarithmic=logarithmic,
            holds_x=self.holds_x,
            holds_y=self.holds_y,
        )
        if not drawn:
            return ""
        scale = ", logarithmic" if logarithmic else ""
        return (
            f"<figure><figcaption>{escape(self.title)}{scale}</figcaption>\n{drawn}"
            f"<details><summary>The numbers</summary>{_numbers(self)}</details></figure>\n"
        )


def figures(trainings: Sequence[TrainingLog], names: Sequence[str]) -> str:
    """Every picture that the trainings' files have numbers for."""
    every = [*_losses(trainings, names), *_scores(trainings, names), *_others(trainings, names)]
    steps = 0, max((row["step"] for training in trainings for row in training.rows), default=0)
    drawn = "".join((replace(figure, holds_x=steps) if figure.x_title == "step" else figure).html() for figure in every)
    return f'<div class="figures">\n{drawn}</div>\n' if drawn else ""


def _losses(trainings: Sequence[TrainingLog], names: Sequence[str]) -> Iterator[Figure]:
    marks = _marks(trainings, names)
    if len(trainings) == 1:
        validation = Line("validation", trainings[0].points("validation_loss"), 1, "scores")
        lines = _training_losses(trainings[0], "training", 0)
        yield Figure(title="Loss", lines=[*lines, *([validation] if validation.points else [])], marks=marks)
        return
    each = list(enumerate(zip(trainings, names, strict=True)))
    losses = [line for look, (training, name) in each for line in _training_losses(training, name, look)]
    yield Figure(title="Training loss", lines=losses, marks=marks)
    yield Figure(
        title="Training loss by tokens",
        lines=[Line(name, _by_tokens(training), look) for look, (training, name) in each],
        x_title="tokens",
    )
    yield Figure(
        title="Validation loss",
        lines=[Line(name, training.points("validation_loss"), look, "scores") for look, (training, name) in each],
    )


def _training_losses(training: TrainingLog, name: str, look: int) -> list[Line]:
    """The loss smoothed and, thinner, as it was; without smoothing where there are few; and what was taken back."""
    losses, lost = training.points("loss"), training.lost_points("loss")
    curve = smoothed(losses)
    lines = [Line(f"{name}, smoothed", curve, look), Line(f"{name}, as logged", losses, look, "raw")]
    return (lines if curve else [Line(name, losses, look)]) + (
        [Line(f"{name}, taken back", lost, look, "lost")] if lost else []
    )


def _by_tokens(training: TrainingLog) -> list[Point]:
    losses, tokens = training.points("loss"), {point.x: point.y for point in training.points("tokens")}
    return [Point(tokens[point.x], point.y) for point in smoothed(losses) or losses if point.x in tokens]


def _scores(trainings: Sequence[TrainingLog], names: Sequence[str]) -> Iterator[Figure]:
    """A picture for each metric of each task; the gate is marked."""
    scores = [training.scores() for training in trainings]
    marks = [mark for mark in _marks(trainings, names) if mark.name.endswith("gate")]
    for task, metric in dict.fromkeys(key for found in scores for key in found):
        named = [
            (look, name, found[task, metric])
            for look, (name, found) in enumerate(zip(names, scores, strict=True))
            if (task, metric) in found
        ]
        chances = {scored.chance for _, _, scored in named if scored.chance is not None}
        several = len(trainings) > 1
        yield Figure(
            title=f"{task}, {metric}",
            lines=[Line(name if several else metric, scored.points, look, "scores") for look, name, scored in named],
            marks=marks,
            levels=[Level(chance, f"chance {chance:.3g}") for chance in sorted(chances)],
        )


def _others(trainings: Sequence[TrainingLog], names: Sequence[str]) -> Iterator[Figure]:
    marks = _marks(trainings, names)
    for title, keys in (
        ("Pairs told apart", ("accuracy",)),
        ("Margin between the answers of a pair", ("margin",)),
        ("Learning rate", ("rate",)),
        ("Learning rate, of its peak", ("rate_factor",)),
        ("Norm of the gradient", ("gradient_norm",)),
        ("Tokens a second", ("tokens_per_second",)),
        ("Share of the machine's peak", ("peak_share",)),
    ):
        lines = [
            Line(name if len(trainings) > 1 else title.lower(), training.points(*keys), look)
            for look, (training, name) in enumerate(zip(trainings, names, strict=True))
        ]
        norms = keys == ("gradient_norm",)
        yield Figure(title=title, lines=lines, marks=marks if norms else (), holds_y=() if norms else (0.0,))


def _marks(trainings: Sequence[TrainingLog], names: Sequence[str]) -> list[Mark]:
    found = []
    for training, name in zip(trainings, names, strict=True):
        prefix = f"{name}: " if len(trainings) > 1 else ""
        found += [Mark(row["step"], f"{prefix}{row['event']}") for row in training.events]
        found += [Mark(row["step"], f"{prefix}gate") for row in training.evaluations if row.get("stop")]
    return sorted(found)


# --------------------------------------------------------------------------- in words and numbers


def _read(line: Line) -> bool:
    """Whether a line is one that a reader follows."""
    return line.kind in ("curve", "scores") and any(math.isfinite(point.y) for point in line.points)


def _told(line: Line, x_title: str) -> str:
    points = [point for point in line.points if math.isfinite(point.y)]
    first, last = points[0], points[-1]
    least, most = min(points, key=lambda point: point.y), max(points, key=lambda point: point.y)
    return (
        f"{line.name}: {shown(first.y)} at {x_title} {first.x:,.0f}, {shown(last.y)} at {last.x:,.0f}; "
        f"least {shown(least.y)} at {least.x:,.0f}, greatest {shown(most.y)} at {most.x:,.0f}."
    )


def _numbers(figure: Figure) -> str:
    """A row for each place of the axis, picked evenly where there are many, the first and the last among them."""
    columns = [{point.x: point for point in line.points} for line in figure.lines]
    places = sorted(set().union(*columns))
    few = picked(places)
    caption = figure.title if few == places else f"{figure.title}: {len(few)} of {len(places):,} places"
    rows = [[number(place, ",.0f"), *(_cell(column.get(place)) for column in columns)] for place in few]
    body = table(caption, (figure.x_title, *(line.name for line in figure.lines)), rows, sortable=False)
    return body + "".join(f"<p>{escape(level.name)}</p>" for level in figure.levels)


def picked(places: list[float]) -> list[float]:
    """At most `MOST_ROWS` of them, evenly spread, with both ends."""
    if len(places) <= MOST_ROWS:
        return places
    return [places[round(number * (len(places) - 1) / (MOST_ROWS - 1))] for number in range(MOST_ROWS)]


def _cell(point: Point | None) -> Cell:
    if point is None:
        return text("–")
    if point.low is None or point.high is None:
        return number(point.y)
    return Cell(escape(f"{shown(point.y)} ({shown(point.low)} to {shown(point.high)})"), point.y, number=True)
