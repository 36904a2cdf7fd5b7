"""`evalharness pretrain` and the harness: checkpoints evaluated as they are written, and the gate between them.

A command of its own layer, as `check --model` is: it runs (`run`), then compares (`comparison`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalharness.comparison.sources import load
from evalharness.comparison.training_gate import EARLIER, TrainingGate, judge
from evalharness.errors import EvalHarnessError, UsageError, nearest
from evalharness.options import parse_options
from evalharness.records.folder import Run
from evalharness.records.format import RUN
from evalharness.records.run import ScoreRecord
from evalharness.records.scores import Scores, scores_of_run
from evalharness.run.training_evaluation import (
    AskedTask,
    CheckpointEvaluation,
    evaluate,
    requests_for,
    resolve,
    scores_of,
)

if TYPE_CHECKING:
    from evalharness.stack.training.loop import Evaluation

RUNS = "evaluations"
"""Folder of a training's runs: ``evaluations/step-00000200/coin_flip/``."""


class EvaluationOptions(CheckpointEvaluation):
    """The section `evaluation` of a training's YAML."""

    gate: TrainingGate | None = None


def evaluator_for(
    section: Any,
    where: str,
    base: Path,
    folder: Path,
    last_step: int,
    *,
    data_dir: Path | None = None,
    include: tuple[Path, ...] = (),
    before: bool = False,
) -> CheckpointEvaluator:
    """The evaluator of a YAML's section, checked.

    Args:
        section: as it was read.
        where: the section's place, for sentences.
        base: the folder of the YAML.
        folder: the training's.
        before: whether what the training begins with is evaluated as well, as step 0.
        data_dir, include: as typed, in place of the YAML's and beside it.

    Raises:
        EvalHarnessError: what is wrong with the section; `CheckpointEvaluator.check`.
    """
    options = parse_options(EvaluationOptions, section, where)
    changes: dict[str, Any] = {"include": (*options.include, *(path.absolute() for path in include))}
    if data_dir is not None:
        changes["data_dir"] = data_dir.absolute()
    evaluator = CheckpointEvaluator(options.model_copy(update=changes), base, folder, last_step, where, before)
    evaluator.check()
    return evaluator


class CheckpointEvaluator:
    """Evaluates a training's checkpoints and judges them; an `Evaluator` as the stack's training loop knows it.

    Asked again about a checkpoint, it computes nothing that its runs' folders hold. That each has one row is the loop's
    part; the rows say which checkpoints are still on the training's way.
    """

    def __init__(
        self,
        options: EvaluationOptions,
        base: Path,
        folder: Path,
        last_step: int,
        where: str = "evaluation",
        before: bool = False,
    ) -> None:
        self.options = options
        self.folder = folder / RUNS
        self.stops = options.gate is not None and options.gate.stop
        self.left_out: Mapping[str, str] = {}
        """By task, why it cannot be asked here; known after `check`."""
        self.last_step = last_step
        self._base, self._where, self._before = base, where, before
        self.tasks: tuple[AskedTask, ...] = ()
        """Known after `check`."""
        self._fixed: dict[str, Scores] | None = None
        """What the gate compares every checkpoint with."""

    def check(self) -> None:
        """Find tasks, data and baselines; no model is loaded.

        Raises:
            EvalHarnessError: one sentence that says what is wrong with the section.
        """
        try:
            found = resolve(self.options, self._base)
            self.tasks, self.left_out = found.tasks, found.left_out
            self._check_gate()
        except EvalHarnessError as error:
            raise type(error)(f"{self._where}: {error}") from None

    def due(self, step: int) -> bool:
        if step == 0:
            return self._before
        every = self.options.every
        return step == self.last_step or (every is not None and step % every == 0)

    def __call__(self, step: int, checkpoint: Path) -> Evaluation:
        """Evaluate a checkpoint's folder; what goes wrong with a task stands in its row, and stops nothing.

        The row: `tasks`, by task either `metrics` (value, low, high, n, chance) and `counts`, or `error`; `gate`;
        `seconds`.
        """
        from evalharness.run.unchanged import unchanged
        from evalharness.stack.training.loop import Evaluation

        began = time.perf_counter()
        folder = self.folder / _name(step)
        requests = requests_for(self.tasks, checkpoint.absolute(), folder.absolute())
        if self.options.process == "other":
            from evalharness.run.evaluation_process import evaluate_elsewhere

            failed = evaluate_elsewhere(requests)
        else:
            with unchanged():
                failed = evaluate(requests)
        runs = {task.label: Run(folder / task.folder) for task in self.tasks}
        row: dict[str, Any] = {"tasks": {label: self._told(label, run, failed) for label, run in runs.items()}}
        stop = None
        if self.options.gate is not None and step:
            whole = {label: run for label, run in runs.items() if label not in failed}
            judged, stop = self._judged(self.options.gate, step, whole)
            row["gate"] = judged
        row["seconds"] = round(time.perf_counter() - began, 3)
        return Evaluation(row, stop)

    def _told(self, label: str, run: Run, failed: Mapping[str, str]) -> dict[str, Any]:
        if label in failed:
            return {"error": failed[label]}
        assert run.results is not None
        return scores_of(run, run.results, self.options.chance.get(label))

    def runs(self, step: int) -> dict[str, Run]:
        """By task, the finished runs of a step."""
        runs = {task.label: Run(self.folder / _name(step) / task.folder) for task in self.tasks}
        return {
            label: run
            for label, run in runs.items()
            if (run.path / RUN).is_file() and run.record.state == "finished" and run.results is not None
        }

    # ----------------------------------------------------------------------- the gate

    def _judged(self, gate: TrainingGate, step: int, runs: Mapping[str, Run]) -> tuple[dict[str, Any], str | None]:
        earlier = self._earlier(step)
        before = max(map(len, earlier.values()), default=0)
        judgement = judge(
            gate,
            step,
            {label: _headline(run) for label, run in runs.items()},
            {label: scores_of_run(run) for label, run in runs.items()},
            self._baselines(gate, earlier),
            look=before if gate.against in EARLIER else before + 1,
        )
        return judgement.row(), judgement.sentence(step)

    def _earlier(self, step: int) -> dict[str, list[Run]]:
        """By task, the finished runs of checkpoints before this step, in order; of a checkpoint that the training went
        back behind, the row is gone."""
        from evalharness.stack.training.log import EVALUATIONS, Lines

        rows = Lines(self.folder.parent / EVALUATIONS).read()
        found: dict[str, list[Run]] = {}
        for earlier in sorted({row["step"] for row in rows if row["step"] < step}):
            for label, run in self.runs(earlier).items():
                found.setdefault(label, []).append(run)
        return found

    def _baselines(self, gate: TrainingGate, earlier: Mapping[str, list[Run]]) -> dict[str, Scores]:
        if gate.against is None:
            return {}
        if gate.against == "previous":
            return {label: scores_of_run(runs[-1]) for label, runs in earlier.items()}
        if gate.against == "before":
            return {label: scores_of_run(run) for label, run in self.runs(0).items()}
        if gate.against == "best":
            return {label: scores_of_run(max(runs, key=_goodness)) for label, runs in earlier.items()}
        assert self._fixed is not None
        return self._fixed

    def _check_gate(self) -> None:
        gate, labels = self.options.gate, [task.label for task in self.tasks]
        for name, named in (("chance", self.options.chance), ("gate.floor", gate.floor if gate else {})):
            if unknown := [label for label in named if label not in labels]:
                raise UsageError(f"{name}: {unknown[0]} is not evaluated; {nearest(unknown[0], labels)}")
        if gate is None or gate.against is None:
            return
        if gate.against == "before" and not self._before:
            raise UsageError(
                "gate.against: before is what a fine-tuning begins with; say previous or best here, or name a run."
            )
        for task in self.tasks:
            if len(task.cell.samples) < gate.minimum_n:
                raise UsageError(
                    f"gate: {task.label} has {len(task.cell.samples)} samples and minimum_n is {gate.minimum_n}, so no "
                    "comparison could tell anything; ask for more samples, or say a smaller minimum_n."
                )
        if gate.against not in EARLIER:
            self._fixed = self._of_place(self._base / gate.against)

    def _of_place(self, place: Path) -> dict[str, Scores]:
        """The baseline of every task, which must have been asked as checkpoints will be.

        Raises:
            UsageError: there is none, or it was asked otherwise.
        """
        if not place.exists():
            raise UsageError(f"gate.against: {place}: no such run, baseline or folder; give one, or previous, or best.")
        loaded = load(place)
        return {task.label: _baseline(task, loaded, place) for task in self.tasks}


def _baseline(task: AskedTask, loaded: list[Scores], place: Path) -> Scores:
    of_task = [scores for scores in loaded if scores.task == task.cell.name]
    if not of_task:
        raise UsageError(f"gate.against: {place} has no run or baseline of {task.cell.name}.")
    judged = task.cell.task.asks_judge  # the judge is part of the hash, and not known before it is loaded
    hashes = ("demonstrations",) if judged else ("protocol", "demonstrations")
    alike = [
        scores for scores in of_task if all(scores.hashes.get(name) == task.cell.hashes.get(name) for name in hashes)
    ]
    if not alike:
        raise UsageError(
            f"gate.against: {of_task[-1].place} asked {task.label} otherwise (another prompt, protocol or "
            "demonstrations); ask the checkpoints as it was asked, or give another."
        )
    if not any(sample.id in alike[-1].samples for sample in task.cell.samples):
        raise UsageError(
            f"gate.against: {alike[-1].place} has none of the samples of {task.label} that are asked here."
        )
    return alike[-1]


def _headline(run: Run) -> tuple[str, ScoreRecord]:
    assert run.results is not None
    return next(iter(run.results.scores.items()))


def _goodness(run: Run) -> float:
    _, score = _headline(run)
    value = float("-inf") if score.value is None else score.value
    return value if score.higher_is_better else -value


def _name(step: int) -> str:
    return f"step-{step:08d}"
