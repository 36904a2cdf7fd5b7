"""The backend ``replay:FILE``: what another system, or an earlier run, said is answered again. No model, no torch.

FILE is ``.jsonl`` or ``.jsonl.gz``, or the folder of a run. Each line is one sample:

    {"task": "gsm8k", "id": "17", "completions": ["... #### 42"]}
    {"task": "arc_easy", "index": 3, "log_likelihoods": [-3.1, -7.5, -4.0, -9.2], "greedy": [true, false, false, false]}

A line with an ``id`` answers the sample of that id; one without answers the sample at position ``index`` of its
split (of its ``subset``, where the line names one). A line without ``task`` answers for every task.

- ``completions``: request c of repeat r, for n completions, takes those at ``(r + c) * n`` and after. Either
  counter may move, not both: a method of several calls can be repeated only from a run's own journal.
- ``log_likelihoods``: one sum for each scored text, in the order in which the method asks; the same in every repeat.
- ``greedy``: whether greedy decoding would have said each of them. Without it nothing is known of that, and a
  metric that needs it says so.
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
from typing import IO, Any, Literal

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
    Request,
    Result,
    Wave,
)

_Key = tuple[str | None, str | int]
"""A task, or None for any; and a sample's id, or its position where no id is given."""


def load(spec: str, **options: Any) -> ReplayBackend:
    """The backend that answers from a file; the whole file is read and checked now.

    Args:
        options: what a model that computes is told (dtype, device, threads, ...). They may be meant for another
            model of the same request, and change nothing that was said before: they are ignored.

    Raises:
        UsageError: no such file.
        DataError: a line is malformed, two lines are of one sample, or there is no line.
    """
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
        self._tasks = {task for task, _ in self._said}
        self._asked: dict[tuple[str, int], str] = {}
        """The sample that was answered from its position alone."""
        verbs: set[Literal["score", "generate"]] = set()
        for said in self._said.values():
            verbs |= said.verbs
        self.info = BackendInfo(
            name=f"replay:{_name(path)}",
            kind="replay",
            accepts=frozenset({"text"}),
            fingerprint=sha256_file(path),
            verbs=frozenset(verbs),
            details={"file": path.name, "samples": len(self._said)},
        )

    def answer(self, wave: Wave) -> None:
        """Look every request up; one that the file does not answer fails with a sentence that says what is missing."""
        for ticket in wave:
            if ticket.cancelled:
                continue
            ticket.begin()
            try:
                result = self._result(ticket.request)
            except DataError as error:
                ticket.fail(error)
            else:
                ticket.resolve(result)

    def close(self) -> None:
        """Nothing to let go of."""

    def _result(self, request: Request) -> Result:
        said, origin = self._find(request.origin), request.origin
        try:
            if isinstance(request, GenerateRequest):
                return Completions(said.completions(origin, request.n))
            return said.likelihood(origin)
        except LookupError as missing:
            place = f"{self.path}: {origin.task}, sample {origin.sample_id}"
            if said.failed:
                raise DataError(f"{place}: it failed in the recorded run, so there is no answer to replay.") from None
            raise DataError(f"{place}: {missing.args[0]}") from None

    def _find(self, origin: Origin) -> _Said:
        for task in (origin.task, None):
            if (said := self._said.get((task, origin.sample_id))) is not None:
                return said
            if (said := self._said.get((task, origin.index))) is not None:
                self._check_alone(origin)
                return said
        if self._tasks.isdisjoint({origin.task, None}):
            known = ", ".join(sorted(str(task) for task in self._tasks)[:5])
            raise DataError(f"{self.path}: no line is of the task {origin.task}; it has lines of {known}.")
        raise DataError(
            f"{self.path}: no line for {origin.task}, sample {origin.sample_id}: "
            f'one needs the id "{origin.sample_id}", or the index {origin.index} and no id.'
        )

    def _check_alone(self, origin: Origin) -> None:
        """Refuse to answer two samples from one line: positions repeat between the subsets of a task."""
        other = self._asked.setdefault((origin.task, origin.index), origin.sample_id)
        if other != origin.sample_id:
            raise DataError(
                f"{self.path}: {origin.task}: samples {other} and {origin.sample_id} both have the index "
                f"{origin.index}; give each line its sample's 'id', or its 'subset'."
            )


def _name(path: Path) -> str:
    """``answers`` of ``answers.jsonl.gz``; a run's journal is called by the run's folder."""
    if path.name == SAMPLES:
        return path.resolve().parent.name
    return path.name.removesuffix(".gz").removesuffix(".jsonl")


# --------------------------------------------------------------------------- what a line says


@dataclass(frozen=True, slots=True)
class _Scores:
    """A `Likelihood` in a tenth of its memory: a file may hold a hundred thousand samples of many tokens."""

    values: array[float]
    greedy: bytes
    """Empty where it is not known."""

    def likelihood(self) -> Likelihood:
        return Likelihood(tuple(self.values), tuple(map(bool, self.greedy)))


_Answer = _Scores | tuple[Completion, ...]


@dataclass(frozen=True, slots=True)
class _Said:
    """What one line says; its prompts, and whatever else it holds, are forgotten."""

    texts: tuple[str, ...] = ()
    scores: tuple[_Scores, ...] = ()
    repeats: tuple[tuple[_Answer, ...], ...] = ()
    """By repeat and request; only a journal has them, and then nothing else."""
    failed: bool = False
    """A sample that failed in the run and may have a second line."""

    @property
    def verbs(self) -> set[Literal["score", "generate"]]:
        found: set[Literal["score", "generate"]] = set()
        if self.texts or any(isinstance(answer, tuple) for repeat in self.repeats for answer in repeat):
            found.add("generate")
        if self.scores or any(isinstance(answer, _Scores) for repeat in self.repeats for answer in repeat):
            found.add("score")
        return found

    def completions(self, origin: Origin, n: int) -> tuple[Completion, ...]:
        """The n completions of a request.

        Raises:
            LookupError: they are not there; a clause for the user.
        """
        if self.repeats:
            answers = self.repeats[origin.repeat] if origin.repeat < len(self.repeats) else ()
            answer = answers[origin.call] if origin.call < len(answers) else ()
            found = answer if isinstance(answer, tuple) else ()
            place = f"call {origin.call} of repeat {origin.repeat}"
        elif origin.repeat and origin.call:
            raise LookupError(
                "a flat list of completions cannot tell the calls of a repeat from the next repeat; "
                "give 'repeats' as a run's own journal has them, or ask for one repeat."
            )
        else:
            first = (origin.repeat + origin.call) * n
            found = tuple(Completion(text=text) for text in self.texts[first : first + n])
            place = f"position {first} and after"
        if len(found) < n:
            raise LookupError(f"{n} completions are asked for and {len(found)} are there at {place}.")
        return found[:n]

    def likelihood(self, origin: Origin) -> Likelihood:
        """The likelihood of the text that a request scores.

        Raises:
            LookupError: it is not there; a clause for the user.
        """
        # A model that is asked the same again says the same, so any repeat may be answered by the first.
        answers: Sequence[_Answer] = self.scores
        if self.repeats:
            answers = self.repeats[origin.repeat if origin.repeat < len(self.repeats) else 0]
        scores = answers[origin.call] if origin.call < len(answers) else None
        if not isinstance(scores, _Scores):
            there = sum(isinstance(answer, _Scores) for answer in answers)
            raise LookupError(f"the log-likelihood of text {origin.call} is asked for, and {there} are there.")
        return scores.likelihood()


# --------------------------------------------------------------------------- reading


def _read(path: Path) -> dict[_Key, _Said]:
    found: dict[_Key, _Said] = {}
    for number, raw in _raw_lines(path):
        place = f"{path}, line {number}"
        line = parse(raw)
        if line is None:
            if path.name == SAMPLES and not raw.endswith(b"\n"):
                break  # the torn last line of a run that was killed
            raise DataError(
                f'{place}: not a JSON object; a line reads {{"task": ..., "id": ..., "completions": [...]}}.'
            )
        key = _key(line, place)
        if key in found and not found[key].failed:
            task = "any task" if key[0] is None else f"task {key[0]}"
            raise DataError(f"{place}: a second line for {task}, sample {key[1]}; a sample has one.")
        found[key] = _said(line, place)
    if not found:
        raise DataError(f"{path}: no line in it; each sample needs one.")
    return found


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1."""
    try:
        with _opened(path) as file:
            for number, raw in enumerate(file, 1):
                if not raw.isspace():
                    yield number, raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}.") from None


def _opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


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


def _said(line: Mapping[str, Any], place: str) -> _Said:
    failed = bool(line.get("error"))
    repeats = line.get("repeats")
    # Of a line of ours the calls say in full what its first keys repeat in short.
    if repeats:
        try:
            return _Said(repeats=tuple(_answers(repeat["calls"], place) for repeat in repeats), failed=failed)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{place}: its repeats are not as a run's journal has them ({error!r}).") from None
    if not failed and line.get("completions") is None and line.get("log_likelihoods") is None:
        raise DataError(f"{place}: neither completions nor log_likelihoods; a line needs one of them.")
    return _Said(_texts(line, place), _sums(line, place), failed=failed)


def _texts(line: Mapping[str, Any], place: str) -> tuple[str, ...]:
    texts = line.get("completions") or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DataError(f"{place}: completions must be a list of texts.")
    return tuple(texts)


def _sums(line: Mapping[str, Any], place: str) -> tuple[_Scores, ...]:
    values = line.get("log_likelihoods") or []
    if not isinstance(values, list):
        raise DataError(f"{place}: log_likelihoods must be a list of numbers.")
    greedy = line.get("greedy") or [None] * len(values)
    if not isinstance(greedy, list) or len(greedy) != len(values):
        raise DataError(f"{place}: greedy must be a list of true and false, as long as log_likelihoods.")
    return tuple(
        _scores([value], [] if said is None else [said], place) for value, said in zip(values, greedy, strict=True)
    )


def _scores(values: Sequence[Any], greedy: Sequence[Any], place: str) -> _Scores:
    if not all(type(said) is bool for said in greedy):
        raise DataError(f"{place}: greedy must be true or false for each of the log_likelihoods.")
    try:
        return _Scores(array("d", values), bytes(greedy))
    except (OverflowError, TypeError):
        raise DataError(f"{place}: log_likelihoods must be numbers.") from None


def _answers(calls: Sequence[Mapping[str, Any]], place: str) -> tuple[_Answer, ...]:
    """The answers of a repeat's requests in order.

    A scoring call made one request for each continuation, and none where the sample had no choices to score.
    """
    answers: list[_Answer] = []
    for call in calls:
        if "log_likelihoods" in call:
            for values, greedy in zip(call["log_likelihoods"], call["greedy"], strict=True):
                answers.append(_scores(values, greedy, place))
        elif "completions" in call:
            answers.append(tuple(map(completion_of, call["completions"])))
    return tuple(answers)
