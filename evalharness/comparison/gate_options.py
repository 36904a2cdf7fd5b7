"""A gate's definition, ``leaderboards/gates/*.yaml``: what drop is too much, task by task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from evalharness.errors import DataError, UsageError, nearest
from evalharness.options import Options, parse_options

Share = Annotated[float, Field(gt=0, lt=1)]


def margin_value(value: Any) -> Any:
    """``2%`` is a share of the baseline's value, and stays a text; a number is in the metric's own unit."""
    if isinstance(value, str) and value.endswith("%"):
        float(value[:-1])  # raises where it is no number
        return value
    return value


class GatedTask(Options):
    """One task of a gate."""

    task: str
    """As runs name it."""
    metric: str | None = None
    """The task's first metric unless named."""
    margin: Annotated[float | str, BeforeValidator(margin_value)]
    """The drop that is too much: in the metric's own unit (0.03 of acc is 3 points), or ``2%`` of the baseline's."""
    alpha: Share | None = None
    minimum_n: int | None = Field(default=None, ge=2)
    discordance: Share | None = None
    """Share of the samples expected to flip between two checkpoints, for planning before there is a candidate."""

    def margin_at(self, baseline: float) -> float:
        """The margin in the metric's own unit, beside a baseline of this value."""
        if isinstance(self.margin, str):
            return abs(baseline) * float(self.margin[:-1]) / 100
        return self.margin


class Budget(Options):
    """What `check --model` may take: once it is spent, no further task is begun, and the rest is inconclusive."""

    minutes: float | None = Field(default=None, gt=0)


class Gate(Options):
    """The file."""

    gate: str
    """Its name, which is the file's."""
    description: str = ""
    suite: str | None = None
    """The suite that `check --model` runs where no --task is named."""
    alpha: Share = 0.05
    """One-sided, of a verdict."""
    power: Share = 0.8
    """That planning aims at."""
    correction: Literal["holm", "none"] = "holm"
    """Over the tasks, of the verdict `worse`; `ok` needs none, since every task must be ok."""
    minimum_n: int = Field(default=100, ge=2)
    """Shared samples below which a task is inconclusive."""
    max_errors: float = Field(default=0.1, ge=0, le=1)
    """Share of a side's samples that may have failed before the task is broken."""
    budget: Budget = Budget()
    tasks: tuple[GatedTask, ...] = Field(min_length=1)


def load_gate(name: str) -> Gate:
    """A shipped gate by name, or a file.

    Raises:
        UsageError: no such gate.
        DataError: the file is malformed.
    """
    from evalharness.registry import shipped
    from evalharness.tasks.files import read_yaml

    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = {file.stem: file for file in sorted((shipped("leaderboards") / "gates").glob("*.yaml"))}
        if name not in known:
            raise UsageError(f"unknown gate '{name}'; {nearest(name, known)} A file of your own ends in .yaml.")
        path = known[name]
    elif not path.is_file():
        raise UsageError(f"{path}: no such file.")
    gate = parse_options(Gate, read_yaml(path), str(path))
    names = [gated.task for gated in gate.tasks]
    if repeated := next((task for task in names if names.count(task) > 1), None):
        raise DataError(f"{path}: tasks: {repeated} is listed twice; a task has one margin.")
    return gate
