"""Results of lm-eval as runs of ours: under our own hashes where it asked what we ask, byte for byte, else foreign."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from evalharness.data.sources import MissingDataError, SourceSettings, mirror_root
from evalharness.elicitation.base import Ask
from evalharness.errors import DataError, EvalHarnessError
from evalharness.hashing import canonical_json, sha256_text
from evalharness.prompting.demonstrations.select import LM_EVAL_SEED
from evalharness.prompting.prompter import Prompter
from evalharness.records.environment import without_secrets
from evalharness.records.folder import Run
from evalharness.records.foreign.lm_eval import Logged, LoggedTask, attempt_of, read_results, sampling_of
from evalharness.records.foreign.lm_eval_run import AGREES, metric_name, run_of, score_of
from evalharness.records.foreign.run import ForeignRun, check_free, folder_name, keep, told
from evalharness.records.run import ResultsRecord, RunRecord
from evalharness.registry import task_files
from evalharness.run.lines import scored_line
from evalharness.run.options import RunOptions
from evalharness.run.plan import Cell, plan, settings_of
from evalharness.run.summary import of_cell
from evalharness.tasks.lm_eval_names import counterpart
from evalharness.tasks.task import load_task
from evalharness.types import (
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    Request,
    Result,
    Sample,
    Sampling,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The runs that were made of a place, and what was passed over there."""

    runs: Sequence[tuple[Run, ResultsRecord]]
    notes: Sequence[str]


def import_lm_eval(
    place: Path, to: Path, *, tasks: Sequence[str] = (), data_dir: Path | None = None, include: Sequence[Path] = ()
) -> Imported:
    """Make a run of every task that lm-eval logged at a place.

    Args:
        tasks: only these, by lm-eval's names; all, unless given.
        data_dir: a mirror of data sets: prompts can be compared where the rows are at hand.
        include: folders with task files of the user's own.

    Raises:
        UsageError: nothing is there, or a folder of a run exists.
        DataError: a file is torn, misses what is needed, or is of a newer lm-eval.
        DiskError: the disk refuses.
    """
    # What the user named wrongly is an error, and no reason for a run to be foreign.
    mirror_root(SourceSettings(data_dir=data_dir))
    task_files(include)
    found = read_results(place, tasks)
    options = RunOptions(task=("any",), data_dir=data_dir, include=tuple(include))
    # Everything is read before anything is written.
    converted = [_converted(task, options) for task in found.tasks]
    for record, _, _ in converted:
        check_free(to / folder_name(record))
    runs = []
    for record, lines, results in converted:
        runs.append((keep(record, lines, results, to / folder_name(record)), results))
    return Imported(runs=runs, notes=found.notes)


_Made = tuple[RunRecord, Sequence[Mapping[str, Any]], ResultsRecord]


def _converted(task: LoggedTask, options: RunOptions) -> _Made:
    foreign = run_of(task)
    try:
        cell = _cell(task, options)
        reason = _difference(task, cell) if cell is not None else "no task of ours has this name"
        if cell is not None and reason is None:
            return _ours(task, foreign, cell)
    except MissingDataError:
        reason = "its rows are not at hand, so that prompts could not be compared (--data-dir DIR)"
    except EvalHarnessError as error:
        reason = f"our task of this name cannot ask it: {error}".rstrip(".")
    return _foreign(foreign, reason or "")


def _foreign(foreign: ForeignRun, reason: str) -> _Made:
    notes = (f"foreign, it compares with runs of lm-eval that asked the same: {reason}", *foreign.notes)
    return foreign.record, list(foreign.lines()), replace(foreign, notes=notes).results()


# --------------------------------------------------------------------------- our task


def _cell(task: LoggedTask, options: RunOptions) -> Cell | None:
    """Our counterpart of the task with the rows that were asked about; None where there is none.

    Raises:
        MissingDataError: no source has the rows.
        EvalHarnessError: our task cannot be asked so.
    """
    ours = counterpart(task.name, options.include)
    if ours is None:
        return None
    config = task.file.get("config")
    seed = config.get("fewshot_seed") if isinstance(config, dict) else None
    own = load_task(ours.name, protocol=ours.protocol, include=options.include).definition.demonstrations.shots
    shots = task.fact("n-shot", 0)
    if not isinstance(shots, int) or shots < 0:
        raise DataError(f"the log says {shots!r:.40} for the number of demonstrations.")
    (cell,) = plan(
        options.model_copy(
            update={
                "task": (ours.name,),
                "protocol": ours.protocol,
                "shots": shots if shots != own else None,
                "seed": seed - LM_EVAL_SEED if isinstance(seed, int) else 0,
            }
        )
    )
    if cell.demo:
        return None
    if len(cell.select) > 1:
        raise DataError("it has several subsets, among which a document's position says nothing.")
    asked = {doc.doc_id for doc in task.docs}
    samples = [sample for sample in cell.samples if sample.index in asked]
    content = sha256_text(canonical_json([[sample.id, sample.content_hash] for sample in samples]))
    return replace(cell, samples=samples, hashes={**cell.hashes, "content": content})


def _ours(task: LoggedTask, foreign: ForeignRun, cell: Cell) -> _Made:
    """The run under our own hashes, scored by our own metrics, which found the same."""
    docs = {doc.doc_id: doc for doc in task.docs}
    lines = []
    for sample in cell.samples:
        reference, attempts = cell.task.renderer.reference(sample), [attempt_of(task, docs[sample.index])]
        lines.append(scored_line(cell.name, cell.task, sample, reference, attempts))
    model = foreign.record.model
    settings = without_secrets(settings_of(cell, model))
    asked = cell.options.model_copy(update={"model": (str(model["name"]),), **_limit(cell)})
    record = foreign.record.model_copy(
        update={
            "task": cell.name,
            "protocol": cell.task.protocol,
            "definition": cell.task.definition.model_dump(
                mode="json", exclude_defaults=True, exclude={"examples", "protocols"}
            ),
            "task_source": str(cell.task.path),
            "options": without_secrets(asked.model_dump(mode="json", exclude_defaults=True)),
            "settings": settings,
            "hashes": {**cell.hashes, "settings": sha256_text(canonical_json(settings))},
            "of": cell.of,
            "data": [asdict(source) for source in cell.sources],
        }
    )
    results = of_cell(cell, lines, record.id, foreign.usage, foreign.seconds)
    notes = (f"imported from lm-eval, whose {len(docs)} prompts are ours byte for byte", *foreign.notes)
    return record, lines, results.model_copy(update={"note": told(notes)})


def _limit(cell: Cell) -> dict[str, Any]:
    """The first n samples, where the run has no others and not all."""
    first = [sample.index for sample in cell.samples] == list(range(len(cell.samples)))
    return {"limit": len(cell.samples)} if first and len(cell.samples) != cell.of else {}


# --------------------------------------------------------------------------- what differs


def _difference(task: LoggedTask, cell: Cell) -> str | None:
    """The first thing in which lm-eval's run is not ours; None where there is none."""
    ours = {sample.index: sample for sample in cell.samples}
    missing = [doc.doc_id for doc in task.docs if doc.doc_id not in ours]
    if missing:
        return f"{len(missing)} of its {len(task.docs)} rows are not at hand, the first at position {missing[0]}"
    for doc in task.docs:
        sample = ours[doc.doc_id]
        differs = _prompts_differ(doc, _requests(cell, sample)) or _scores_differ(task, doc, cell, sample)
        if differs:
            return f"{cell.name} ({cell.task.protocol}), sample {sample.id}: {differs}"
    return None


class _Listener:
    """Answers with nothing and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def ask(self, request: Request) -> Result:
        self.requests.append(request)
        if isinstance(request, GenerateRequest):
            return Completions((Completion(text=""),) * request.n)
        return Likelihood((0.0,), (True,))


def _requests(cell: Cell, sample: Sample) -> Sequence[Request]:
    """What our task's method asks first about a sample, before any tokenizer."""
    task, listener = cell.task, _Listener()
    ask = Ask(
        task=cell.name,
        sample=sample,
        reference=task.renderer.reference(sample),
        demonstrations=cell.demonstrations(sample),
        renderer=task.renderer,
        prompter=Prompter(task.definition.prompt, tokenizer=None, max_length=None),
        waves=listener,
        sampling=task.sampling,
    )

    async def listen() -> None:
        await task.method.run(ask, task.method_options)

    asyncio.run(listen())
    return listener.requests


def _prompts_differ(doc: Logged, requests: Sequence[Request]) -> str | None:
    if len(doc.arguments) != len(requests):
        return f"lm-eval asked {len(doc.arguments)} requests, and ours are {len(requests)}"
    for number, (theirs, request) in enumerate(zip(doc.arguments, requests, strict=True)):
        which = f" of request {number}" if len(requests) > 1 else ""
        if isinstance(request, GenerateRequest):
            place = first_difference(str(theirs[0]), request.prompt.text)
            other = _decoding_differs(theirs[1] if len(theirs) > 1 else {}, request.sampling)
        else:
            context, text = ("", theirs[0]) if len(theirs) == 1 else theirs[:2]
            place = first_difference(str(context), request.context.text)
            at = first_difference(str(text), request.continuation)
            other = None if at is None else f"the continuations{which} differ first at character {at}"
        if place is not None:
            return f"the prompts{which} differ first at character {place}"
        if other is not None:
            return other
    return None


def first_difference(one: str, other: str) -> int | None:
    """Position of the first character in which two texts differ; None where they are the same."""
    if one == other:
        return None
    return next(place for place, (left, right) in enumerate(zip_longest(one, other)) if left != right)


def _decoding_differs(theirs: Mapping[str, Any], ours: Sampling) -> str | None:
    logged = sampling_of(theirs)
    for name in ("max_tokens", "temperature", "top_p", "top_k", "stop"):
        left, right = getattr(logged, name), getattr(ours, name)
        if left != right:
            return f"decoding differs: {name} is {left!r} there and {right!r} here"
    return None


def _scores_differ(task: LoggedTask, doc: Logged, cell: Cell, sample: Sample) -> str | None:
    """Where our metrics make something else of the same answers than lm-eval logged."""
    attempt = attempt_of(task, doc)
    scored = cell.task.scorer.score(attempt, cell.task.renderer.reference(sample))
    logged = {key: score_of(task, doc, *key) for key in doc.metrics}
    for name, score in scored.scores.items():
        theirs = next((value for key, value in logged.items() if name in (key[0], metric_name(*key))), None)
        if theirs is None:
            return f"lm-eval logged no metric {name}"
        if not math.isclose(score.value, theirs.value, rel_tol=AGREES, abs_tol=1e-9):
            return f"{name} is {theirs.value:g} there and {score.value:g} here"
    return None
