"""What a fine-tuning made better and what worse: the model that it began with beside the one that it ends with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from evalharness.cli.pretrain_evaluation import CheckpointEvaluator
from evalharness.comparison import compare_formats, gate_formats
from evalharness.comparison.compare import Comparison, compare
from evalharness.comparison.gate import check
from evalharness.records.scores import Scores, scores_of_run
from evalharness.report.training_log import BEFORE_AND_AFTER
from evalharness.stats.multiplicity import holm


def compare_ends(evaluator: CheckpointEvaluator, folder: Path) -> list[str]:
    """Lines for people, of all tasks that both were asked; what they say is written into the training's folder.

    With a gate in the YAML its table follows, over the same tasks and whatever it stops by: what fell.
    """
    before, after = (_scores(evaluator, step) for step in (0, evaluator.last_step))
    shared = [task for task in before if task in after]
    if not shared:
        return ["No task was evaluated both before and after."]
    found = compared({task: (before[task], after[task]) for task in shared})
    text = json.dumps(compare_formats.as_json(found), ensure_ascii=False, indent=1)
    (folder / BEFORE_AND_AFTER).write_text(text + "\n", encoding="utf-8")
    lines = compare_formats.text(found)
    if (gate := evaluator.options.gate) is not None:
        lines += ["", *gate_formats.text(check(gate.of_tasks(dict.fromkeys(shared)), before, after))]
    return lines


def compared(tasks: dict[str, tuple[Scores, Scores]]) -> list[Comparison]:
    """Each task under the name that the training gives it, p adjusted over all of them (Holm)."""
    each = [replace(compare(pair, correction="none")[0], task=task) for task, pair in tasks.items()]
    adjusted = holm([1.0 if one.p_adjusted is None else one.p_adjusted for one in each])
    return [
        one if one.p_adjusted is None else replace(one, p_adjusted=p_value)
        for one, p_value in zip(each, adjusted, strict=True)
    ]


def _scores(evaluator: CheckpointEvaluator, step: int) -> dict[str, Scores]:
    return {task: scores_of_run(run) for task, run in evaluator.runs(step).items()}
