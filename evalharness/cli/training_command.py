"""What the commands that train share: the YAML with its changes, and how a training ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from pydantic import BaseModel

if TYPE_CHECKING:
    from evalharness.stack.training.loop import Outcome

T = TypeVar("T", bound=BaseModel)
REPORT = "report.html"


def read_training(kind: type[T], config: Path, changes: list[str]) -> tuple[T, Any]:
    """The training's options, and the section of its evaluation as it was read, which the stack knows nothing of.

    Raises:
        DataError, UsageError: what is wrong with the file or a change.
    """
    from evalharness.options import parse_options
    from evalharness.tasks.files import read_yaml

    values = dict(read_yaml(config))
    for change in changes:
        _set(values, change)
    evaluation = values.pop("evaluation", None)
    return parse_options(kind, values, str(config)), evaluation


def end(outcome: Outcome, folder: Path, *, quiet: bool) -> None:
    """Say how it ended, and leave with the code for it.

    Raises:
        typer.Exit: 1 where an evaluation stopped it, 130 where it was asked to.
    """
    if not quiet:
        typer.echo(f"{outcome.step:,} steps done, last loss {outcome.loss:.4f}; {folder / REPORT}")
        if outcome.reason:
            typer.echo(outcome.reason)
    if outcome.ending == "evaluation":
        raise typer.Exit(1)
    if outcome.ending == "asked":
        raise typer.Exit(130)


def _set(values: dict[str, Any], change: str) -> None:
    import yaml

    from evalharness.errors import UsageError

    key, equals, text = change.partition("=")
    if not equals or not all(key.split(".")):
        raise UsageError(f"--set {change}: give KEY=VALUE, as in --set batch.sequences=8.")
    *path, last = key.split(".")
    for part in path:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UsageError(f"--set {change}: '{part}' has no keys in this YAML; set it as a whole.")
        values[part] = dict(inner)
        values = values[part]
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UsageError(f"--set {change}: '{text}' is no value of YAML; quote it, or close its brackets.") from None
