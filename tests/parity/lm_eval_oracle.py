"""lm-eval's own Task objects, fed with rows of the test: what they ask, and how they score.

Nothing of ours makes a prompt here. `datasets.load_dataset` is replaced while a task is built, so lm-eval
reads the given rows and no network; so is `evaluate.load`, by which its code tasks fetch and try a metric that
executes programs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

Rows = Sequence[Mapping[str, Any]]

FOLDERS = (
    "arc",
    "asdiv",
    "bbh/cot_fewshot",
    "bbh/fewshot",
    "bbq",
    "ceval",
    "cnn_dailymail",
    "commonsense_qa",
    "coqa",
    "crows_pairs",
    "drop",
    "gsm8k",
    "hellaswag",
    "hendrycks_math",
    "humaneval",
    "ifeval",
    "lambada",
    "logiqa",
    "mathqa",
    "mbpp",
    "medmcqa",
    "minerva_math",
    "mmlu/default",
    "nq_open",
    "openbookqa",
    "piqa",
    "pubmedqa",
    "realtoxicityprompts",
    "siqa",
    "super_glue/boolq",
    "super_glue/copa",
    "triviaqa",
    "truthfulqa",
    "webqs",
    "wikitext",
    "winogender",
    "winogrande",
)
"""Reading these alone takes a second; all of lm-eval's folders take ten."""
FEWSHOT_SEED = 1234
"""What `lm_eval` itself sets unless told otherwise."""


@dataclass(frozen=True)
class Asked:
    """What is asked about one document."""

    context: str | tuple[str, ...]
    """One for each continuation where they differ."""
    continuations: tuple[str, ...] = ()
    """Of a scored task: what is scored after the context."""
    generation: Mapping[str, Any] | None = None
    """Of a generative task: max_gen_toks, until, do_sample, temperature."""


class Oracle:
    """lm-eval's task manager over the few folders that the tests need."""

    def __init__(self) -> None:
        import datasets
        import lm_eval.tasks

        datasets.disable_progress_bars()
        root = Path(lm_eval.tasks.__file__).parent
        paths: list[str | Path] = [root / folder for folder in FOLDERS]
        self._manager = lm_eval.tasks.TaskManager(include_path=paths, include_defaults=False)

    def names(self, prefix: str) -> list[str]:
        """lm-eval's tasks whose name begins so, sorted."""
        return sorted(name for name in self._manager.all_subtasks if name.startswith(prefix))

    def tags(self, name: str) -> set[str]:
        return set(self._manager.task_index[name].tags)

    def task(self, name: str, splits: Mapping[str, Rows], shots: int | None = None) -> Any:
        """lm-eval's task over these rows; `shots` None leaves its own number."""
        with _rows_in_place_of_the_hub(splits):
            task = self._manager.load(name)["tasks"][name]
        task.set_fewshot_seed(FEWSHOT_SEED)
        if shots is not None:
            task.set_config("num_fewshot", shots)
        return task

    def asked(self, name: str, splits: Mapping[str, Rows], shots: int | None = None) -> list[Asked]:
        """What lm-eval asks about every document of the evaluated split, in order."""
        task = self.task(name, splits, shots)
        return [_asked(task, requests) for requests in by_document(task)]


@cache
def shared_oracle() -> Oracle:
    """The session's one oracle, for helpers that no fixture reaches."""
    return Oracle()


def by_document(task: Any) -> list[list[Any]]:
    """lm-eval's instances, those of one document together."""
    from lm_eval.api.task import eval_logger

    with mock.patch("lm_eval.api.task.tqdm", lambda items, **_: items), mock.patch.object(eval_logger, "info"):
        task.build_all_requests(rank=0, world_size=1)
    documents: dict[int, list[Any]] = {}
    for instance in task.instances:
        documents.setdefault(instance.doc_id, []).append(instance)
    return [sorted(requests, key=lambda request: request.idx) for _, requests in sorted(documents.items())]


def scores(task: Any, documents: Sequence[Sequence[Any]], answers: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """What lm-eval makes of a model's answers, by ``metric`` or, with named filters, ``metric,filter``.

    Args:
        documents: of `by_document`.
        answers: for each document, the answer to each of its instances.
    """
    for instances, said in zip(documents, answers, strict=True):
        for instance, answer in zip(instances, said, strict=True):
            instance.resps, instance.filtered_resps = [answer], {}
    task.apply_filters()
    found = []
    for instances in documents:
        by_name: dict[str, Any] = {}
        for chain in instances[0].filtered_resps:
            results = task.process_results(instances[0].doc, [each.filtered_resps[chain] for each in instances])
            by_name |= {metric if chain == "none" else f"{metric},{chain}": value for metric, value in results.items()}
        found.append(by_name)
    return found


def _asked(task: Any, requests: Sequence[Any]) -> Asked:
    first = requests[0].args
    match task.OUTPUT_TYPE:
        case "generate_until":
            from lm_eval.models.utils import normalize_gen_kwargs

            (request,) = requests
            return Asked(first[0], generation=normalize_gen_kwargs(request.args[1]))
        case "loglikelihood_rolling":
            return Asked("", first)
    return scored([request.args for request in requests])


def scored(pairs: Sequence[tuple[str, str]]) -> Asked:
    """Contexts and continuations as what is asked about one document."""
    contexts, continuations = zip(*pairs, strict=True)
    return Asked(contexts[0] if len(set(contexts)) == 1 else contexts, continuations)


@contextmanager
def _rows_in_place_of_the_hub(splits: Mapping[str, Rows]) -> Iterator[None]:
    import datasets
    import evaluate

    loaded = datasets.DatasetDict({name: datasets.Dataset.from_list(list(rows)) for name, rows in splits.items()})
    with mock.patch.object(datasets, "load_dataset", return_value=loaded), mock.patch.object(evaluate, "load"):
        yield
