"""What a checkpoint is asked while its training waits: tasks, found before the training begins, and their runs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from evalharness.data.sources import MissingDataError
from evalharness.errors import EvalHarnessError, UsageError
from evalharness.options import Options
from evalharness.records.environment import without_secrets
from evalharness.records.folder import Run, read_run
from evalharness.records.format import RUN
from evalharness.records.run import ResultsRecord
from evalharness.run.models import load_backend
from evalharness.run.options import RunOptions
from evalharness.run.plan import Cell, plan, settled
from evalharness.run.progress import Progress
from evalharness.run.runner import run
from evalharness.tasks.task import DEFAULT, Wanted, expand


def _named(value: Any) -> Any:
    return {"task": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


class EvaluatedTask(Options):
    """One entry of `tasks`; what it says goes before the section and before a suite."""

    task: str
    """A name, pattern or suite, as ``run --task`` takes it."""
    protocol: str | None = None
    shots: int | None = Field(default=None, ge=0)
    method: str | None = None
    limit: int | None = Field(default=None, ge=1)
    sample: int | None = Field(default=None, ge=1)


_OF_A_TASK = ("protocol", "shots", "method", "limit", "sample")


class CheckpointEvaluation(Options):
    """The section `evaluation` of a training's YAML, but for its gate; what has no text is as in `evalharness run`."""

    every: int | None = Field(default=None, ge=1)
    """Steps between evaluations; the last checkpoint is always evaluated, and alone unless this is given."""
    tasks: Annotated[
        tuple[Annotated[EvaluatedTask, BeforeValidator(_named)], ...], BeforeValidator(_listed), Field(min_length=1)
    ]
    """Names, patterns, suites; or mappings with keys of their own: {task: coin_flip, protocol: four_people}."""
    process: Literal["this", "other"] = "this"
    """Where it computes: here, or in a process of its own, whose crash or memory does not harm the training."""
    chance: dict[str, float] = Field(default_factory=dict)
    """By task, what guessing scores, for the picture; found from the number of choices where a task has choices."""
    limit: int | None = Field(default=None, ge=1)
    sample: int | None = Field(default=None, ge=1)
    seed: int = 0
    shots: int | None = Field(default=None, ge=0)
    method: str | None = None
    protocol: str | None = None
    set: dict[str, Any] = Field(default_factory=dict)
    repeats: int | None = Field(default=None, ge=1)
    reducer: str | None = None
    chat: bool = False
    system_prompt: str | None = None
    judge_model: str | None = None
    judge_options: dict[str, Any] = Field(default_factory=dict)
    device: str | None = None
    dtype: str | None = None
    numerics: Literal["exact", "fast"] | None = None
    threads: int | None = Field(default=None, ge=1)
    batch_tokens: int | None = Field(default=None, ge=1)
    kv_memory: float | None = Field(default=None, gt=0)
    max_errors: float = Field(default=0.05, ge=0, le=1)
    data_dir: Path | None = None
    """From the folder of the YAML on."""
    allow_demo: bool = False
    include: tuple[Path, ...] = ()
    """From the folder of the YAML on."""

    @model_validator(mode="after")
    def _one_choice_of_samples(self) -> CheckpointEvaluation:
        if self.limit is not None and self.sample is not None:
            raise ValueError("limit and sample exclude each other: take the first n, or n drawn by the seed.")
        return self

    def request(self, entry: EvaluatedTask, base: Path) -> RunOptions:
        """An entry as `evalharness run` would be asked."""
        own = {key: value for key in _OF_A_TASK if (value := getattr(entry, key)) is not None}
        both = {key: getattr(self, key) for key in RunOptions.model_fields if key in type(self).model_fields}
        if "limit" in own or "sample" in own:  # the entry's choice of samples takes the place of the section's
            both |= {"limit": None, "sample": None}
        places = {
            "task": (str(base / entry.task) if entry.task.endswith((".yaml", ".yml")) else entry.task,),
            "data_dir": self.data_dir and base / self.data_dir,
            "include": tuple(base / folder for folder in self.include),
        }
        return RunOptions.model_validate({**both, **own, **places})


@dataclass(frozen=True, slots=True)
class AskedTask:
    """One task that every checkpoint is asked."""

    label: str
    """As rows and pictures name it: ``coin_flip``, ``coin_flip:four_people``."""
    options: RunOptions
    """Without model and folder."""
    cell: Cell

    @property
    def folder(self) -> str:
        """Name of its runs' folders."""
        return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in self.label)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The tasks of a section."""

    tasks: tuple[AskedTask, ...]
    left_out: Mapping[str, str]
    """By task of a suite with a layout, why it cannot be asked here."""


def resolve(options: CheckpointEvaluation, base: Path) -> Resolved:
    """Find every task and load its data, so that nothing but the model can be wrong later.

    Args:
        base: the folder that relative paths are from.

    Raises:
        UsageError: an unknown task, or options that do not go together.
        DataError: a malformed definition or data file.
        ServiceError: no source has the data.
    """
    wanted: list[tuple[Wanted, RunOptions]] = []
    for entry in options.tasks:
        request = options.request(entry, base)
        wanted += [(item, settled(item, request)) for item in expand(request.task, request.include)]
    found: dict[str, AskedTask] = {}
    left_out: dict[str, str] = {}
    for item, asked in wanted:
        label = _label(item, asked)
        try:
            cell = plan(asked)[0]
        except MissingDataError as error:
            if not item.may_be_missing:
                raise
            left_out[label] = str(error).partition("; tried")[0]
            continue
        if cell.task.asks_judge and asked.judge_model is None:
            raise UsageError(f"{label} is judged by a model; name one as judge_model, which takes what --model takes.")
        if label in found:
            raise UsageError(f"{label} is asked for twice; give each entry of tasks another task or protocol.")
        found[label] = AskedTask(label, asked, cell)
    if not found:
        raise UsageError(f"no task can be asked here: {'; '.join(left_out.values())}.")
    return Resolved(tuple(found.values()), left_out)


def _label(item: Wanted, options: RunOptions) -> str:
    name = Path(item.name).stem if item.name.endswith((".yaml", ".yml")) else item.name
    return name if options.protocol in (None, DEFAULT) else f"{name}:{options.protocol}"


# --------------------------------------------------------------------------- one checkpoint


def requests_for(tasks: tuple[AskedTask, ...], checkpoint: Path, folder: Path) -> dict[str, RunOptions]:
    """By task, the run of one checkpoint, whose folder lies in `folder`."""
    return {
        task.label: task.options.model_copy(update={"model": (str(checkpoint),), "output": folder / task.folder})
        for task in tasks
    }


def evaluate(requests: Mapping[str, RunOptions], progress: Progress | None = None) -> dict[str, str]:
    """Run them with one loading of the model; those that a killed process began are gone on with.

    Returns:
        By task, what went wrong with it.
    """
    failed: dict[str, str] = {}
    first = next(iter(requests.values()))
    try:
        with closing(load_backend(first.model[0], first)) as backend:
            for label, options in requests.items():
                _drop_other(options, backend.info.fingerprint)
                try:
                    run(options, backends=[backend], progress=progress)
                except EvalHarnessError as error:
                    failed[label] = str(error)
    except EvalHarnessError as error:
        return dict.fromkeys(requests, str(error))
    return failed


def _drop_other(options: RunOptions, fingerprint: str | None) -> None:
    """Delete a run that was asked otherwise, or of weights that are no more: a training that went back writes its
    checkpoints anew."""
    folder = options.output
    if folder is None or not (folder / RUN).is_file():
        return
    try:
        record = read_run(folder).record
    except EvalHarnessError:  # damaged
        shutil.rmtree(folder)
        return
    same = record.options == without_secrets(options.model_dump(mode="json", exclude_defaults=True))
    if not same or record.model.get("fingerprint") != fingerprint:
        shutil.rmtree(folder)


def scores_of(run: Run, results: ResultsRecord, chance: float | None) -> dict[str, Any]:
    """A task's part of a line of evaluations.jsonl: every metric, the first one first, and what else must be known."""
    first = next(iter(results.scores))
    metrics: dict[str, Any] = {
        name: {"value": score.value, "low": score.low, "high": score.high, "n": score.n}
        for name, score in results.scores.items()
    }
    guessed = _chance(run, first) if chance is None else chance
    if guessed is not None:
        metrics[first]["chance"] = guessed
    counts = {name: count for name, count in results.counts.items() if count}
    return {"metrics": metrics, **({"counts": counts} if counts else {})}


def _chance(run: Run, metric: str) -> float | None:
    """Mean of 1 / choices, for an accuracy over choices."""
    if not metric.startswith("acc"):
        return None
    shares = [1 / len(line["choices"]) for line in run.lines() if line.get("choices")]
    return sum(shares) / len(shares) if shares else None
