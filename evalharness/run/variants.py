"""A task beside itself, its questions perturbed: what `--perturb` asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from evalharness.errors import DataError, UsageError
from evalharness.prompting.perturbations.base import build_perturbations
from evalharness.run.options import RunOptions
from evalharness.tasks.files import merged, setting
from evalharness.tasks.task import Task


def variants(task: Task, options: RunOptions, specs: Sequence[str]) -> list[tuple[Task, RunOptions]]:
    """The task as it is, then once for each perturbation, each with the options that ask for it alone.

    Args:
        specs: as `--perturb` takes them: ``typos``, ``typos:rate=0.2,seed=1``.

    Raises:
        UsageError: an unknown perturbation or option, or one that does not fit the task.
    """
    found = [(task, options)]
    for spec in specs:
        perturb = (*task.definition.perturb, perturbation(spec))
        variant = replace(task, definition=task.definition.model_copy(update={"perturb": perturb}))
        try:
            build_perturbations(perturb, f"--perturb {spec}")
            variant.check()
        except DataError as error:
            raise UsageError(str(error)) from None
        found.append((variant, options.model_copy(update={"set": merged(options.set, {"perturb": list(perturb)})})))
    return found


def perturbation(spec: str) -> str | dict[str, Any]:
    """``typos:rate=0.2,seed=1`` as an entry of a task's `perturb:`.

    Raises:
        UsageError: an option without a value.
    """
    name, colon, options = spec.partition(":")
    if not colon:
        return name
    entry: dict[str, Any] = {"perturbation": name}
    for option in options.split(","):
        entry |= setting(option, f"--perturb {name}:")
    return entry
