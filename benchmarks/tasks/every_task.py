"""Every task on a few samples of one model: what it scores and how long it takes, or why it does not run here.

Prints a line for each task and one JSON line at the end; runs that are there already are not run again.

    python benchmarks/tasks/every_task.py --data-dir MIRROR [--samples 20] [--output FOLDER] [TASK ...]
"""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from pathlib import Path

import evalharness
from evalharness.api import load_model
from evalharness.errors import EvalHarnessError
from evalharness.records.folder import Run, read_run
from evalharness.registry import task_files
from evalharness.tasks.files import read_yaml
from evalharness.types import Backend


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("tasks", nargs="*")
    options.add_argument("--data-dir", type=Path)
    options.add_argument("--samples", type=int, default=20)
    options.add_argument("--model", default="smollm2")
    options.add_argument("--output", type=Path, default=Path("runs/every-task"))
    given = options.parse_args()
    names = given.tasks or [name for name, path in sorted(task_files().items()) if "suite" not in read_yaml(path)]
    found: dict[str, dict[str, object]] = {}
    with closing(load_model(given.model)) as model:
        for name in names:
            found[name] = _one(name, model, given)
            told = "  ".join(f"{key} {value}" for key, value in found[name].items())
            print(f"{name:34} {told}", flush=True)
    ran = [facts for facts in found.values() if "score" in facts]
    print(json.dumps({"benchmark": "every_task", "model": given.model, "ran": len(ran), "tasks": found}))


def _one(name: str, model: Backend, given: argparse.Namespace) -> dict[str, object]:
    try:
        run = _run(name, model, given)
    except EvalHarnessError as error:
        return {"not_run": str(error).partition(";")[0]}
    assert run.results is not None
    metric, score = next(iter(run.results.scores.items()))
    value = None if score.value is None else round(score.value, 4)
    return {"metric": metric, "score": value, "n": score.n, "of": run.results.of, "seconds": run.results.seconds}


def _run(name: str, model: Backend, given: argparse.Namespace) -> Run:
    folder = given.output / name
    if (folder / "run.json").is_file() and (run := read_run(folder)).record.state == "finished":
        return run
    judge = {"judge_model": given.model} if evalharness.load_task(name).asks_judge else {}
    return evalharness.evaluate(
        name, model=model, sample=given.samples, data_dir=given.data_dir, output=folder, max_errors=1.0, **judge
    )


if __name__ == "__main__":
    main()
