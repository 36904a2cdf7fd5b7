"""The Python entry points; `import evalharness` finds them without importing this module before its time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evalharness.errors import DataError, UsageError
from evalharness.options import parse_options
from evalharness.records.folder import Run, read_run
from evalharness.run.models import load_backend
from evalharness.run.options import RunOptions
from evalharness.run.runner import run
from evalharness.tasks.task import Task, load_task
from evalharness.types import Backend

__all__ = ["evaluate", "load_model", "load_task", "read_run"]


def evaluate(task: str | Path | Task, model: str | Backend | tuple[Any, Any] = "smollm2", **options: Any) -> Run:
    """Measure one model on one task and return the run: ``.record``, ``.results``, ``.lines()``, ``.samples()``.

    Args:
        task: a task's name, a YAML file, or a loaded task.
        model: what --model takes, any object with the `Backend` protocol, or a model and its tokenizer of the
            library transformers, already in memory: a training loop can measure what it trains.
        options: the keys of `RunOptions`, which are the options of `evalharness run`.

    Raises:
        EvalHarnessError: one sentence that says what is wrong and what would be right.

    >>> evaluate("gsm8k", limit=20, data_dir="mirror").results.scores["exact_match"].value  # doctest: +SKIP
    0.05
    """
    if options.get("perturb"):
        raise UsageError('evaluate: perturb asks for several runs; ask for one by set={"perturb": ["typos"]}.')
    tasks: tuple[Task, ...] = ()
    if isinstance(task, Task):
        if changed := sorted(options.keys() & {"protocol", "method", "shots", "set", "repeats", "reducer"}):
            raise UsageError(f"evaluate: {changed[0]} belongs to the task; give it to load_task.")
        tasks, task = (task,), task.name
    backends: tuple[Backend, ...] = ()
    if isinstance(model, str):
        options["model"] = (model,)
    elif isinstance(model, tuple):
        from evalharness.backends.transformers import from_objects

        told = {key: options[key] for key in ("max_length", "batch_tokens") if key in options}
        backends = (from_objects(*model, **told),)
    else:
        backends = (model,)
    request = _options({"task": (str(task),), **options}, "evaluate")
    return run(request, tasks=tasks, backends=backends)[0]


def load_model(spec: str = "smollm2", **options: Any) -> Backend:
    """The backend that --model SPEC would run: its `info` and `tokenizer` are at hand, its weights load when asked.

    Args:
        options: dtype, device, max_length, tokenizer, revision, adapter, batch_tokens, threads, numerics, kv_memory,
            weights, reasoning, cache, executor, workers, model_options, and other keys of `RunOptions` about models.
    """
    return load_backend(spec, _options({"task": ("",), **options}, "load_model"))


def _options(values: dict[str, Any], where: str) -> RunOptions:
    """A faulty option of a call is a faulty use, where a faulty key of a file is faulty data."""
    try:
        return parse_options(RunOptions, values, where)
    except DataError as error:
        raise UsageError(str(error)) from None
