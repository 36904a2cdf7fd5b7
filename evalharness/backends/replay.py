"""The backend ``replay:FILE``: what another system, or an earlier run, said is answered again. No model, no torch.

FILE is ``.jsonl`` or ``.jsonl.gz``, or the folder of a run. Each line is one sample:

    {"task": "gsm8k", "id": "17", "completions": ["... #### 42"]}
    {"task": "arc_easy", "index": 3, "log_likelihoods": [-3.1, -7.5, -4.0, -9.2], "greedy": [true, false, false, false]}

A line with an ``id`` answers the sample of that id; one without answers the sample at position ``index`` of its
split (of its ``subset``, where the line names one). A line without ``task`` answers for every task.

- ``completions``: a request for n completions, call c of repeat r of its sample, takes those at
  ``(r + c) * n`` and after. Either counter may move, not both: a method with several calls can be repeated only
  from a run's own journal.
- ``log_likelihoods``: one sum for each scored text, in the order in which the method asks; the same in every repeat.
- ``greedy``: whether greedy decoding would have said each of them. Without it no text counts as said greedily.
- ``repeats``, in the journal of a run (`evalharness.records.encode`): used before the three above. It knows
  which call of which repeat each answer belongs to, and every token.
"""

from __future__ import annotations

import gzip
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from evalharness.errors import DataError, UsageError
from evalharness.hashing import sha256_file
from evalharness.records.encode import completion_of
from evalharness.records.format import SAMPLES
from evalharness.records.strict_json import parse
from evalharness.types import (
    BackendInfo,
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    Origin,
    Result,
    ScoreRequest,
    Wave,
)

_Key = tuple[str | None, str | int]
"""A task, or None for any; and a sample's id, or its position where no id is given."""


@dataclass(frozen=True, slots=True)
class _Scores:
    """A `Likelihood` in a tenth of its memory: a file may hold a hundred thousand samples of many tokens."""

    values: array[float]
    greedy: bytes

    def likelihood(self) -> Likelihood:
        return Likelihood(tuple(self.values), tuple(map(bool, self.greedy)))


@dataclass(frozen=True, slots=True)
class _Said:
    """What one line says. The two lists of lists are by repeat and call, and only a journal has them."""

    completions: tuple[Completion, ...]
    scores: tuple[_Scores, ...]
    completions_by_call: tuple[tuple[tuple[Completion, ...], ...], ...] = ()
    scores_by_call: tuple[tuple[_Scores | None, ...], ...] = ()
    failed: bool = False
    """A sample that failed in the run and may have a second line."""

    @property
    def generates(self) -> bool:
        return bool(self.completions) or any(texts for repeat in self.completions_by_call for texts in repeat)

    @property
    def has_scores(self) -> bool:
        return bool(self.scores) or any(scores for repeat in self.scores_by_call for scores in repeat)


def load(spec: str, **options: Any) -> ReplayBackend:
    """The backend that answers from a file; the whole file is read and checked now.

    Raises:
        UsageError: no such file, or an option: a replay computes nothing that one could change.
        DataError: a line is malformed, two lines are of one sample, or there is no line.
    """
    if options:
        name = next(iter(options)).replace("_", "-")
        raise UsageError(f"--{name}: replay:{spec} computes nothing, so this option cannot change it; leave it out.")
    path = Path(spec).expanduser()
    if path.is_dir():
        path /= SAMPLES
    if not path.is_file():
        raise UsageError(f"replay:{spec}: no such file; give a .jsonl or .jsonl.gz file, or the folder of a run.")
    return ReplayBackend(path)


class ReplayBackend:
    """An `evalharness.types.Backend` over a file of answers; made by `load`."""

    tokenizer = None

    def __init__(self, path: Path) -> None:
        self.path = path
        self._said = _read(path)
        verbs: dict[str, bool] = {
            "generate": any(said.generates for said in self._said.values()),
            "score": any(said.has_scores for said in self._said.values()),
        }
        self.info = BackendInfo(
            name=f"replay:{_name(path)}",
            kind="replay",
            accepts=frozenset({"text"}),
            fingerprint=sha256_file(path),
            verbs=frozenset(verb for verb, known in verbs.items() if known),  # type: ignore[misc]
            details={"file": path.name, "samples": len(self._said)},
        )

    def answer(self, wave: Wave) -> None:
        """Look every request up; one that the file does not answer fails with a sentence that says what is missing."""
        for ticket in wave:
            ticket.begin()
            try:
                ticket.resolve(self._result(ticket.request))
            except DataError as error:
                ticket.fail(error)

    def close(self) -> None:
        """Nothing to let go of."""

    def _result(self, request: GenerateRequest | ScoreRequest) -> Result:
        said = self._find(request.origin)
        if isinstance(request, GenerateRequest):
            return Completions(self._completions(said, request.origin, request.n))
        return self._scores(said, request.origin).likelihood()

    def _find(self, origin: Origin) -> _Said:
        for task in (origin.task, None):
            for place in (origin.sample_id, origin.index):
                if (said := self._said.get((task, place))) is not None:
                    return said
        tasks = {task for task, _ in self._said}
        if tasks.isdisjoint({origin.task, None}):
            known = ", ".join(sorted(str(task) for task in tasks)[:5])
            raise DataError(f"{self.path}: no line is of the task {origin.task}; it has lines of {known}.")
        raise DataError(
            f"{self.path}: no line for {origin.task}, sample {origin.sample_id}: "
            f'one needs the id "{origin.sample_id}", or the index {origin.index} and no id.'
        )

    def _completions(self, said: _Said, origin: Origin, n: int) -> tuple[Completion, ...]:
        by_call = said.completions_by_call
        if by_call:
            texts = _at(_at(by_call, origin.repeat, ()), origin.call, ())
            place = f"call {origin.call} of repeat {origin.repeat}"
        else:
            if origin.repeat and origin.call:
                raise DataError(
                    f"{self._place(origin)}: a flat list of completions cannot tell the calls of a repeat from the "
                    'next repeat; give "repeats" as a run\'s own journal has them, or ask for one repeat.'
                )
            texts = said.completions[(origin.repeat + origin.call) * n :]
            place = f"position {(origin.repeat + origin.call) * n} and after"
        if len(texts) < n:
            raise DataError(
                f"{self._place(origin)}: {n} completions are asked for and {len(texts)} are there at {place}."
            )
        return texts[:n]

    def _scores(self, said: _Said, origin: Origin) -> _Scores:
        # A model that is asked the same again gives the same scores, so any repeat is answered by the first.
        by_call = said.scores_by_call
        repeat = _at(by_call, origin.repeat, by_call[0]) if by_call else said.scores
        scores = _at(repeat, origin.call, None)
        if scores is None:
            raise DataError(
                f"{self._place(origin)}: the log-likelihood of text {origin.call} is asked for, and "
                f"{len(repeat)} are there."
            )
        return scores

    def _place(self, origin: Origin) -> str:
        return f"{self.path}: {origin.task}, sample {origin.sample_id}"


def _at(items: Sequence[Any], position: int, default: Any) -> Any:
    return items[position] if position < len(items) else default


def _name(path: Path) -> str:
    """``answers`` of ``answers.jsonl.gz``; a run's journal is called by the run's folder."""
    if path.name == SAMPLES:
        return path.resolve().parent.name
    return path.name.removesuffix(".gz").removesuffix(".jsonl")


# --------------------------------------------------------------------------- reading


def _read(path: Path) -> dict[_Key, _Said]:
    said: dict[_Key, _Said] = {}
    for number, raw in _raw_lines(path):
        line = parse(raw)
        place = f"{path}, line {number}"
        if line is None:
            raise DataError(
                f'{place}: not a JSON object; a line reads {{"task": ..., "id": ..., "completions": [...]}}.'
            )
        key = _key(line, place)
        if key in said and not said[key].failed:
            task = "any task" if key[0] is None else f"task {key[0]}"
            raise DataError(f"{place}: a second line for {task}, sample {key[1]}; a sample has one.")
        said[key] = _line(line, place)
    if not said:
        raise DataError(f"{path}: no line in it; each sample needs one.")
    return said


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1."""
    try:
        with _opened(path) as file:
            for number, raw in enumerate(file, 1):
                if not raw.isspace():
                    yield number, raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}.") from None


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _key(line: Mapping[str, Any], place: str) -> _Key:
    task, id, index = line.get("task"), line.get("id"), line.get("index")
    if task is not None and not isinstance(task, str):
        raise DataError(f"{place}: task is {task!r}; it must be a task's name, or left out.")
    if id is not None:
        if isinstance(id, str) or type(id) is int:
            return task, str(id)
        raise DataError(f"{place}: id is {id!r}; it must be a text or a whole number.")
    if type(index) is not int:
        raise DataError(f"{place}: neither an id nor an index (a whole number) says which sample this is.")
    subset = line.get("subset")
    return (task, index) if subset is None else (task, f"{subset}/{index}")


def _line(line: Mapping[str, Any], place: str) -> _Said:
    completions = tuple(Completion(text=text) for text in _texts(line.get("completions", []), place))
    scores = tuple(_sums(line, place))
    repeats = line.get("repeats")
    if not repeats:
        return _Said(completions, scores, failed=bool(line.get("error")))
    try:
        calls = [repeat["calls"] for repeat in repeats]
        return _Said(
            (),
            (),
            tuple(tuple(tuple(map(completion_of, _generated(call))) for call in each) for each in calls),
            tuple(tuple(scores for call in each for scores in _scored(call)) for each in calls),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{place}: its repeats are not as a run's journal has them ({error!r}).") from None
