"""Today's parsers and metrics on an old run's journal: no model, no data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from evalharness.errors import UsageError
from evalharness.records.folder import Run
from evalharness.records.journal import Journal
from evalharness.records.run import ResultsRecord
from evalharness.registry import trust
from evalharness.run.lines import rescored_line
from evalharness.run.options import RunOptions
from evalharness.run.plan import task_of
from evalharness.run.runner import now
from evalharness.run.summary import summarise
from evalharness.tasks.protocol_hash import judged_by, protocol_hash
from evalharness.tasks.task import Task, Wanted

LINES_AT_ONCE = 512
"""Lines held in memory where several are scored side by side."""


@dataclass(frozen=True, slots=True)
class Change:
    """A sample whose score or answer is another one today."""

    id: str
    before: Mapping[str, Any]
    now: Mapping[str, Any]
    answer_before: str | None
    answer_now: str | None


@dataclass(frozen=True, slots=True)
class Rescored:
    """A re-scored run beside the one it was made from, which stays as it was."""

    run: Run
    results: ResultsRecord
    before: ResultsRecord | None
    changes: tuple[Change, ...]


def rescore(
    run: Run, output: Path | None = None, include: tuple[Path, ...] = (), *, trust_code: bool = False
) -> Rescored:
    """Score the journal of `run` again and write the result as a run of its own, ``<run>-rescored``.

    Args:
        include: folders with task files, in place of those that the run was given.
        trust_code: run their components.py; that the run did is not enough.

    Raises:
        UsageError: the task is no longer there, `output` exists, or the task is judged in another way today.
        DataError: the journal is damaged.
    """
    record = run.record
    task = _task_today(run, include, trust_code)
    _judged_alike(run, task)
    target = Run(output or run.path.with_name(f"{run.path.name}-rescored"))
    if target.path.exists():
        raise UsageError(f"{target.path} exists already; name another folder with --output.")
    changes: list[Change] = []
    hashes = {
        **record.hashes,
        "protocol": judged_by(
            protocol_hash(
                task,
                chat=bool(record.options.get("chat")),
                system_prompt=record.options.get("system_prompt"),
                corpus=record.hashes.get("corpus"),
            ),
            record.judge,
        ),
    }
    target.write(
        record.model_copy(
            update={
                "id": target.path.name,
                "rescored_from": record.id,
                "created": now(),
                "finished": now(),
                "hashes": hashes,
            }
        )
    )

    def lines() -> Iterator[dict[str, Any]]:
        for old, new in _rescored(run.lines(), task):
            if _worth(new) != _worth(old):
                changes.append(Change(old["id"], old["scores"], new["scores"], old["answer"], new["answer"]))
            yield new

    with Journal(target.journal) as journal:
        for line in lines():
            journal.append(line)
    before = run.results
    results = summarise(
        record.task,
        task,
        target.lines(),
        run=target.path.name,
        of=record.of,
        usage=before.usage if before else {},
        seconds=before.seconds if before else 0.0,
        demo=record.data[0]["kind"] == "demo",
    )
    target.write(results)
    return Rescored(target, results, before, tuple(changes))


def _rescored(lines: Iterable[dict[str, Any]], task: Task) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    """Each old line with its new one; side by side in threads where the scorer waits for other processes."""
    if not task.scorer.waits:
        yield from ((old, rescored_line(old, task)) for old in lines)
        return
    left = iter(lines)
    try:
        with ThreadPoolExecutor() as threads:
            while some := list(islice(left, LINES_AT_ONCE)):
                yield from zip(some, threads.map(lambda old: rescored_line(old, task), some), strict=True)
    finally:
        task.scorer.close()


def _judged_alike(run: Run, task: Task) -> None:
    """Refuse verdicts of programs, or of judges, that would be others today: nothing is judged again here."""
    if not task.judges:
        return
    today = task.definition.model_dump(mode="json", exclude_defaults=True, include={"judging", "answer"})
    reads = {judge.judge: judge.reads for judge in task.judges}
    for section in ("answer", "judging"):
        if _decisive(today.get(section), reads) != _decisive(run.record.definition.get(section), reads):
            raise UsageError(
                f"{run.path}: the section '{section}' of {task.name} has changed, and the recorded verdicts are of the "
                f"old one; have the same texts judged again with --task {task.name} --model replay:{run.path}."
            )


def _decisive(section: Any, reads: Mapping[str, Sequence[str]]) -> Any:
    """A section without the options by which its judges read again what was said."""
    if not isinstance(section, list | tuple):
        return section
    named = [{"judge": entry} if isinstance(entry, str) else entry for entry in section]
    return [{key: value for key, value in entry.items() if key not in reads.get(entry["judge"], ())} for entry in named]


def _worth(line: Mapping[str, Any]) -> str:
    """Scores and answer as text, in which a score that is not a number equals itself."""
    return repr((sorted(line["scores"].items()), line["answer"]))


def _task_today(run: Run, include: tuple[Path, ...], trust_code: bool) -> Task:
    """The run's task as its file says today, with the changes that the run was asked for."""
    record = run.record
    options = RunOptions.model_validate({**record.options, "include": include or record.options.get("include", ())})
    options = options.model_copy(update={"protocol": record.protocol})
    for folder in options.include if trust_code else ():
        trust(folder)
    _, _, subset = record.task.partition("/")
    name = record.definition["name"] + (f"/{subset}" if subset else "")
    if not subset and Path(record.task_source).is_file():
        name = record.task_source
    task, _ = task_of(Wanted(name, {}), options)
    return task
