"""From options to cells: everything that is decided before a model is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalharness.data.corpus import Corpus
from evalharness.data.samples import samples
from evalharness.data.select import drawn, first
from evalharness.data.sources import MissingDataError, Source, SourceSettings, load_split
from evalharness.errors import UsageError
from evalharness.hashing import canonical_json, sha256_text
from evalharness.prompting.demonstrations.select import Select, demonstration_hash, selector
from evalharness.registry import trust
from evalharness.run.options import RunOptions
from evalharness.run.variants import variants
from evalharness.tasks.files import merged
from evalharness.tasks.pool import load_pool
from evalharness.tasks.protocol_hash import protocol_hash
from evalharness.tasks.searched import load_searched, with_searched
from evalharness.tasks.task import DEFAULT, Task, Wanted, expand, load_task
from evalharness.types import Sample


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One task under one protocol with its samples: all that a run needs but the model."""

    task: Task
    name: str
    """As every line and file shows it: the task's name, or the bundled sample's that stands in for it."""
    samples: Sequence[Sample]
    of: int | None
    """Samples that the whole benchmark has; None where no source knows."""
    select: Mapping[str | None, Select]
    """A sample's demonstrations, by subset."""
    sources: Sequence[Source]
    hashes: Mapping[str, str]
    """``protocol``, ``demonstrations``, ``content``; of a variant ``unperturbed`` too, and ``corpus`` where tools
    search one."""
    options: RunOptions
    demo: bool = False
    corpus: Corpus | None = None
    """What the task's tools search."""

    def demonstrations(self, sample: Sample) -> Sequence[Sample]:
        return self.select[sample.subset](sample)

    @property
    def repeats(self) -> int:
        return self.task.definition.repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A column of a suite's layout that cannot be run here."""

    wanted: Wanted
    """As the suite says it."""
    why: str


LeaveOut = Callable[[LeftOut], None]


def plan(options: RunOptions, tasks: Sequence[Task] = (), leave_out: LeaveOut | None = None) -> list[Cell]:
    """The cells of a request, in order, their data loaded and everything checked that can be without a model.

    Args:
        tasks: loaded tasks to run as they are, in place of the names in the options.
        leave_out: told of each column of a suite's layout that something is missing for; the others are planned.

    Raises:
        UsageError: an unknown name, or options that do not go together.
        DataError: a malformed definition or data file.
        ServiceError: no source has the data; those of a suite with a layout: of none of its columns.
    """
    if options.limit is not None and options.sample is not None:
        raise UsageError("--limit and --sample exclude each other: take the first n, or n drawn by the seed.")
    if options.trust_code:
        for folder in options.include:
            trust(folder)
    # Every task is loaded before any data, so that a typing error costs nothing.
    wanted = [] if tasks else expand(options.task, options.include)
    asked: list[tuple[Task, RunOptions, Wanted | None]] = [
        (task, options.model_copy(update={"perturb": ()}), None) for task in tasks
    ] or [(*task_of(item, options), item if item.may_be_missing else None) for item in wanted]
    every = [(*each, column) for task, own, column in asked for each in variants(task, own, options.perturb)]
    cells: list[Cell] = []
    missing: list[MissingDataError] = []
    for task, own, column in every:
        try:
            if column and task.asks_judge and own.judge_model is None:
                raise MissingDataError("a model judges it, and --judge-model names none")
            cells.append(_cell(task, own))
        except MissingDataError as error:
            if column is None:
                raise
            missing.append(error)
            if leave_out is not None:
                leave_out(LeftOut(wanted=column, why=str(error).partition("; tried")[0]))
    if missing and not cells:
        raise missing[0]
    return cells


def settled(item: Wanted, options: RunOptions) -> RunOptions:
    """The options that ask for this one task, so that they make the same run again.

    What a suite says holds where the user says nothing; a user's --limit or --sample takes the place of both.
    """
    said = {key: value for key, value in item.options.items() if getattr(options, key) is None}
    if options.limit is not None or options.sample is not None:
        said = {key: value for key, value in said.items() if key not in ("limit", "sample")}
    return options.model_copy(update={**said, "task": (item.name,), "perturb": ()})


def task_of(item: Wanted, options: RunOptions) -> tuple[Task, RunOptions]:
    """The task with the user's changes, and the options that ask for it alone."""
    options = settled(item, options)
    changes: dict[str, Any] = dict(options.set)
    for key in ("repeats", "reducer"):
        if (value := getattr(options, key)) is not None:
            changes[key] = value
    task = load_task(
        item.name,
        protocol=options.protocol or DEFAULT,
        changes=changes,
        method=options.method,
        shots=options.shots,
        include=options.include,
    )
    return task, options


def _cell(task: Task, options: RunOptions) -> Cell:
    definition = task.definition
    settings = SourceSettings(data_dir=options.data_dir, allow_demo=options.allow_demo)
    every: list[Sample] = []
    select: dict[str | None, Select] = {}
    sources: list[Source] = []
    hashes: list[str] = []
    total: int | None = 0
    for subset in task.subsets():
        split = load_split(
            definition.data, definition.data.split, subset=subset, settings=settings, base_dir=task.path.parent
        )
        own = split.source.kind != "demo"  # a bundled sample has the columns that are asked, and no others
        every += samples(
            split,
            task.columns,
            subset=subset,
            id_column=definition.data.id if own else None,
            cluster_column=definition.data.cluster if own else None,
        )
        sources.append(split.source)
        total = None if total is None or split.total is None else total + split.total
        pool = load_pool(task, subset, settings)
        sources += [pool.source] if pool.source else []
        select[subset] = selector(
            definition.demonstrations, pool.samples, task=definition.name, seed=options.seed, pool_size=pool.size
        )
        hashes.append(demonstration_hash(definition.demonstrations, pool.samples, options.seed))
    chosen = every
    if options.limit is not None:
        chosen = first(every, options.limit)
    elif options.sample is not None:
        chosen = drawn(every, options.sample, options.seed)
    demo = sources[0].kind == "demo"
    corpus = load_searched(task, settings)
    sources[0] = with_searched(sources[0], corpus)
    return Cell(
        task=task,
        name=str(definition.data.demo) if demo else task.name,
        samples=chosen,
        of=total,
        select=select,
        sources=sources,
        hashes={
            **_protocol_hashes(task, options, corpus),
            "demonstrations": hashes[0] if len(hashes) == 1 else sha256_text(canonical_json(hashes)),
            "content": sha256_text(canonical_json([[sample.id, sample.content_hash] for sample in chosen])),
        },
        options=options,
        demo=demo,
        corpus=corpus,
    )


def _protocol_hashes(task: Task, options: RunOptions, corpus: Corpus | None) -> dict[str, str]:
    """``protocol``, and for a variant by what it is paired: the hash of the same task as it asks unperturbed; and
    ``corpus``, which the others cover, where tools search one."""
    searched = corpus.fingerprint if corpus else None

    def hash_of(task: Task) -> str:
        return protocol_hash(task, chat=options.chat, system_prompt=options.system_prompt, corpus=searched)

    return {
        "protocol": hash_of(task),
        **({"unperturbed": hash_of(task.unperturbed)} if task.perturbations else {}),
        **({"corpus": searched} if searched else {}),
    }


NOT_DECISIVE = ("threads", "file")
"""Details of a model that do not decide a score: how many threads compute, and what its file is called."""


def settings_of(cell: Cell, model: Mapping[str, Any], sandbox: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What decides a run's result, as plain JSON: two runs with equal settings are the same run.

    Where the files lie and how the output is shown do not count, nor does how executed programs are isolated; the
    Python that executes them does.
    """
    options, definition = cell.options, cell.task.definition
    details = {key: value for key, value in model["details"].items() if key not in NOT_DECISIVE}
    return {
        "task": {"name": cell.name, "version": definition.version, "protocol": cell.task.protocol},
        "hashes": dict(cell.hashes),
        "model": {key: model[key] for key in ("kind", "fingerprint", "tokenizer", "numerics", "max_length")} | details,
        "seed": options.seed,
        "repeats": definition.repeats,
        "changes": merged(options.set, {}),
        **({"sandbox": {"python": sandbox["python"]}} if sandbox else {}),
    }
