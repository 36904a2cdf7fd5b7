"""What lm-eval writes with ``--output_path`` and ``--log_samples``, read as it stands there.

A results file ``results_<time>.json`` holds aggregates and configurations of every task; beside it, one
``samples_<task>_<time>.jsonl`` a task holds a line for each document and chain of filters (lm-eval 0.4.13:
``lm_eval/loggers/evaluation_tracker.py``, ``lm_eval/result_schema.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalharness.errors import DataError, UsageError
from evalharness.records.foreign.read import as_declared, part, read_object, read_objects
from evalharness.types import Attempt, Call, Completion, Likelihood, Prompt, Sampling

READS = (0, 4)
"""Versions of lm-eval whose files are known: major and minor."""
DECLARED = "lm-eval 0.4.13 writes it"
"""What a file of another shape is not like."""
MAX_TOKENS = 256
"""What lm-eval's models generate unless they are told a number."""


@dataclass(frozen=True, slots=True)
class Logged:
    """One document, with what was logged for each chain of filters."""

    doc_id: int
    """Its position in the evaluated split."""
    doc_hash: str
    target: str
    target_hash: str
    arguments: tuple[tuple[Any, ...], ...]
    """What each request asked: context and continuation, context and generation arguments, or a document."""
    responses: tuple[Sequence[Any], ...]
    """What each request was answered, as often as it was asked."""
    filtered: Mapping[str, Any]
    """By chain of filters: what it left of the first request's answers."""
    metrics: Mapping[tuple[str, str], Any]
    """By metric and chain of filters."""


@dataclass(frozen=True, slots=True)
class LoggedTask:
    """One task of a results file with its documents."""

    name: str
    place: Path
    """The file of samples."""
    file: Mapping[str, Any]
    """The whole results file."""
    config: Mapping[str, Any]
    """The task as lm-eval ran it."""
    docs: Sequence[Logged]

    def fact(self, key: str, otherwise: Any = None) -> Any:
        """What the results file says of this task under a key such as ``versions`` or ``n-shot``."""
        by_task = self.file.get(key)
        found = by_task.get(self.name) if isinstance(by_task, dict) else None
        return otherwise if found is None else found

    @property
    def results(self) -> Mapping[str, Any]:
        """Aggregates, as ``acc,none`` and ``acc_stderr,none``."""
        found: Mapping[str, Any] = self.fact("results", {})
        return found

    @property
    def delimiter(self) -> str:
        found = self.config.get("target_delimiter")
        return found if isinstance(found, str) else " "


@dataclass(frozen=True, slots=True)
class Found:
    """The tasks of one results file, and what was passed over."""

    tasks: Sequence[LoggedTask]
    notes: Sequence[str] = field(default_factory=tuple)


def read_results(place: Path, wanted: Collection[str] = ()) -> Found:
    """Everything that lm-eval logged at a place: a results file, its folder, or the folder of ``--output_path``.

    Of several results files in a folder the newest is read.

    Args:
        wanted: only these tasks; all, unless given.

    Raises:
        UsageError: no results file is there, or none has a wanted task.
        DataError: a file is torn, misses what is needed, or is of a newer lm-eval.
        DiskError: a file cannot be read.
    """
    notes: list[str] = []
    tasks = [task for path in _results_files(place, notes) for task in _tasks(path, wanted, notes)]
    for name in wanted:
        if name not in (task.name for task in tasks):
            raise UsageError(f"--task {name}: no samples of it are in {place}.")
    return Found(tasks, notes)


def _results_files(place: Path, notes: list[str]) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UsageError(f"{place}: no such folder; name the one that lm-eval was given with --output_path.")
    by_folder: dict[Path, list[Path]] = {}
    for path in sorted(place.rglob("results_*.json")):
        by_folder.setdefault(path.parent, []).append(path)
    if not by_folder:
        raise UsageError(
            f"{place}: no results of lm-eval are here (no results_*.json); name the folder of its --output_path, or "
            "the results file itself."
        )
    chosen = []
    for folder, paths in by_folder.items():
        newest = max(paths, key=lambda path: _time(path))
        if len(paths) > 1:
            notes.append(f"{folder} holds {len(paths)} results files; the newest is read, {newest.name}")
        chosen.append(newest)
    return chosen


def _time(path: Path) -> str:
    """What distinguishes the runs of a folder: ISO 8601 with ``-`` in place of ``:``."""
    return path.stem.rpartition("_")[2]


def _tasks(path: Path, wanted: Collection[str], notes: list[str]) -> list[LoggedTask]:
    with as_declared(str(path), DECLARED):
        return _tasks_of(read_object(path), path, wanted, notes)


def _tasks_of(values: dict[str, Any], path: Path, wanted: Collection[str], notes: list[str]) -> list[LoggedTask]:
    _check_version(values, path)
    results = part(values, "results", dict, str(path))
    configs = part(values, "configs", dict, str(path))
    tasks, without = [], []
    for name in results:
        if name not in configs or (wanted and name not in wanted):
            continue  # what has no configuration is a group, whose tasks are listed too
        samples = path.with_name(f"samples_{name}_{_time(path)}.jsonl")
        if samples.is_file():
            config = part(configs, name, dict, f"{path}: configs")
            tasks.append(LoggedTask(name, samples, values, config, _docs(samples)))
        else:
            without.append(name)
    if not tasks and not wanted:
        raise DataError(
            f"{path}: no file of samples lies beside it; run lm-eval with --log_samples, because every score here is "
            "made of its samples."
        )
    if without:
        notes.append(f"no samples were logged of {', '.join(without)}, which is left out")
    return tasks


def _check_version(values: Mapping[str, Any], path: Path) -> None:
    version = values.get("lm_eval_version")
    if not isinstance(version, str):
        return  # a file that names none is judged by its keys
    numbers = [int(number) for number in version.split(".")[:2] if number.isdigit()]
    if tuple(numbers) > READS:
        known = ".".join(map(str, READS))
        raise DataError(f"{path}: written by lm-eval {version}, and this evalharness knows {known}; upgrade it.")


# --------------------------------------------------------------------------- documents

_FIXED = ("doc_id", "arguments", "resps", "filter", "metrics")


def _docs(path: Path) -> list[Logged]:
    """The documents in the order of their positions, the lines of their filters put together."""
    lines: dict[int, list[Mapping[str, Any]]] = {}
    for number, line in read_objects(path):
        for key in _FIXED:
            if key not in line:
                raise DataError(
                    f"{path}: line {number} has no key '{key}', as lm-eval's --log_samples writes it for each document."
                )
        lines.setdefault(part(line, "doc_id", int, f"{path}: line {number}"), []).append(line)
    if not lines:
        raise DataError(f"{path}: no document is in it; there is nothing to import.")
    return [_doc(lines[doc_id], f"{path}: document {doc_id}") for doc_id in sorted(lines)]


def _doc(lines: Sequence[Mapping[str, Any]], where: str) -> Logged:
    first = lines[0]
    filtered, metrics = {}, {}
    for line in lines:
        chain = str(line["filter"])
        if chain in filtered:
            raise DataError(f"{where} stands there twice under the filter '{chain}'; keep one of the two.")
        left = line.get("filtered_resps")
        filtered[chain] = left[0] if isinstance(left, list) and left else None
        for name in part(line, "metrics", list, where):
            if name in line:
                metrics[str(name), chain] = line[name]
    return Logged(
        doc_id=first["doc_id"],
        doc_hash=str(first.get("doc_hash", "")),
        target=str(first.get("target", "")),
        target_hash=str(first.get("target_hash", "")),
        arguments=_arguments(first["arguments"], where),
        responses=tuple(each if isinstance(each, list) else [each] for each in part(first, "resps", list, where)),
        filtered=filtered,
        metrics=metrics,
    )


def _arguments(logged: Any, where: str) -> tuple[tuple[Any, ...], ...]:
    """``{"gen_args_0": {"arg_0": ..., "arg_1": ...}, ...}`` as one tuple a request."""
    requests = list(logged.values()) if isinstance(logged, dict) else logged
    if not isinstance(requests, list) or not requests:
        raise DataError(f"{where} has no arguments, which say what was asked.")
    if not all(isinstance(each, dict | list) and each for each in requests):
        raise DataError(f"{where} has arguments of another shape than lm-eval logs: {requests!r:.60}.")
    return tuple(tuple(each.values()) if isinstance(each, dict) else tuple(each) for each in requests)


# --------------------------------------------------------------------------- what was asked and said


def output_type(task: LoggedTask) -> str:
    """As the task says; of a task that is a class, as its requests look."""
    said = task.config.get("output_type")
    if isinstance(said, str) and said != "generate_until":
        return said
    first = task.docs[0].arguments[0]
    if len(first) == 1:
        return "loglikelihood_rolling"
    return "generate_until" if isinstance(first[1], dict) else "multiple_choice"


def attempt_of(task: LoggedTask, doc: Logged) -> Attempt:
    """What was asked and said about one document.

    Raises:
        DataError: the log holds no log-likelihoods where the task scores some.
    """
    where = f"{task.place}: document {doc.doc_id}"
    if output_type(task) == "generate_until":
        calls = tuple(_generation(request, said) for request, said in zip(doc.arguments, doc.responses, strict=False))
        texts = tuple(completion.text for completion in calls[-1].completions)
        return Attempt(calls=calls, candidates=texts)
    likelihoods = tuple(_likelihood(said, where) for said in doc.responses)
    if len(likelihoods) != len(doc.arguments):
        raise DataError(f"{where} has {len(doc.arguments)} requests and {len(likelihoods)} answers.")
    return Attempt(calls=_scorings(doc.arguments, likelihoods), likelihoods=likelihoods)


def _scorings(arguments: Sequence[tuple[Any, ...]], likelihoods: Sequence[Likelihood]) -> tuple[Call, ...]:
    """Several continuations of one context are one call, as our own methods ask them."""
    pairs = [("", str(each[0])) if len(each) == 1 else (str(each[0]), str(each[1])) for each in arguments]
    contexts = list(dict.fromkeys(context for context, _ in pairs))
    if len(contexts) == 1:
        return (
            Call(
                prompt=Prompt(messages=(), text=contexts[0]),
                continuations=tuple(text for _, text in pairs),
                likelihoods=tuple(likelihoods),
            ),
        )
    return tuple(
        Call(prompt=Prompt(messages=(), text=context), continuations=(text,), likelihoods=(likelihood,))
        for (context, text), likelihood in zip(pairs, likelihoods, strict=True)
    )


def _likelihood(said: Sequence[Any], where: str) -> Likelihood:
    """A sum over the tokens, and whether greedy decoding would have said them; of a document only the sum."""
    value = said[0] if said else None
    pair = value if isinstance(value, list) else [value]
    try:
        total = float(str(pair[0]))
    except (TypeError, ValueError, IndexError):
        raise DataError(
            f"{where} has no log-likelihoods: its 'resps' hold {value!r:.60}, where lm-eval logs a number and whether "
            "the text is the likeliest."
        ) from None
    return Likelihood((total,), (str(pair[1]) == "True",) if len(pair) > 1 else ())


def _generation(request: tuple[Any, ...], said: Sequence[Any]) -> Call:
    arguments = request[1] if len(request) > 1 and isinstance(request[1], dict) else {}
    return Call(
        prompt=Prompt(messages=(), text=str(request[0])),
        sampling=sampling_of(arguments),
        completions=tuple(Completion(text=str(text)) for text in said),
    )


def sampling_of(arguments: Mapping[str, Any]) -> Sampling:
    """Generation arguments as lm-eval's models understand them (``normalize_gen_kwargs``)."""
    until = arguments.get("until") or []
    names = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
    limit = next((arguments[name] for name in names if arguments.get(name) is not None), MAX_TOKENS)
    drawn = arguments.get("do_sample")
    usual = 1.0 if drawn else 0.0  # transformers draws with 1 unless it is told a temperature
    temperature = arguments.get("temperature")
    return Sampling(
        max_tokens=int(limit),
        temperature=0.0 if drawn is False else float(usual if temperature is None else temperature),
        top_p=float(arguments.get("top_p") or 1.0),
        top_k=int(arguments.get("top_k") or 0),
        stop=tuple(str(text) for text in ([until] if isinstance(until, str) else until) if text),
    )
