"""Answers from a file: found by task and id, handed out by repeat and call, and refused in one sentence."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evalharness.backends.batching import Waves
from evalharness.backends.replay import load
from evalharness.errors import DataError, UsageError
from evalharness.records.encode import sample_line
from evalharness.records.journal import Journal
from evalharness.scoring.apply import Scored
from evalharness.types import (
    Attempt,
    Backend,
    Call,
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    Origin,
    Prompt,
    Reference,
    Result,
    Sample,
    Sampling,
    ScoreRequest,
)

pytestmark = pytest.mark.timeout(30)

SAMPLING = Sampling(max_tokens=8)


def written(folder: Path, *lines: dict[str, Any], name: str = "answers.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def generate(
    id: str, *, task: str = "t", index: int = 0, repeat: int = 0, call: int = 0, n: int = 1
) -> GenerateRequest:
    return GenerateRequest(
        origin=Origin(task=task, sample_id=id, index=index, repeat=repeat, call=call),
        prompt=Prompt(messages=(), text="?"),
        sampling=SAMPLING,
        n=n,
    )


def score(id: str, *, task: str = "t", index: int = 0, repeat: int = 0, call: int = 0) -> ScoreRequest:
    return ScoreRequest(
        origin=Origin(task=task, sample_id=id, index=index, repeat=repeat, call=call),
        context=Prompt(messages=(), text="?"),
        continuation=" a",
        ids=None,
        start=1,
    )


def ask(backend: Backend, *requests: GenerateRequest | ScoreRequest) -> list[Result]:
    """The answers, through waves; the first error is raised."""

    async def all_of() -> list[Result]:
        async with Waves(backend) as waves:
            return list(await asyncio.gather(*map(waves.ask, requests)))

    return asyncio.run(all_of())


def texts(backend: Backend, request: GenerateRequest) -> list[str]:
    (result,) = ask(backend, request)
    assert isinstance(result, Completions)
    return [completion.text for completion in result.completions]


def test_a_backend_without_tokenizer_says_what_it_can_do(tmp_path: Path) -> None:
    backend = load(str(written(tmp_path, {"id": "a", "completions": ["x"]})), dtype="float32")
    assert isinstance(backend, Backend)
    assert backend.tokenizer is None
    assert backend.info.name == "replay:answers"
    assert backend.info.accepts == {"text"}
    assert backend.info.verbs == {"generate"}
    assert load(str(written(tmp_path, {"id": "a", "log_likelihoods": [-1.0]}))).info.verbs == {"score"}


def test_the_fingerprint_is_of_the_file(tmp_path: Path) -> None:
    one = load(str(written(tmp_path, {"id": "a", "completions": ["x"]}, name="one.jsonl")))
    same = load(str(written(tmp_path, {"id": "a", "completions": ["x"]}, name="same.jsonl")))
    other = load(str(written(tmp_path, {"id": "a", "completions": ["y"]}, name="other.jsonl")))
    assert one.info.fingerprint == same.info.fingerprint != other.info.fingerprint


def test_lines_are_found_by_task_and_id_then_by_any_task(tmp_path: Path) -> None:
    backend = load(
        str(
            written(
                tmp_path,
                {"task": "t", "id": "1", "index": 9, "completions": ["by id"]},
                {"task": "u", "id": 1, "completions": ["by the other task"]},
                {"id": "1", "completions": ["by any task"]},
                {"task": "t", "index": 2, "completions": ["by index"]},
                {"task": "t", "subset": "s", "index": 9, "completions": ["by subset and index"]},
            )
        )
    )
    assert texts(backend, generate("1")) == ["by id"]
    assert texts(backend, generate("1", task="u")) == ["by the other task"]
    assert texts(backend, generate("1", task="v")) == ["by any task"]
    assert texts(backend, generate("key", index=2)) == ["by index"]
    assert texts(backend, generate("s/9", index=9)) == ["by subset and index"]
    with pytest.raises(DataError, match="no line for t, sample other"):
        texts(backend, generate("other", index=9))


def test_one_position_never_answers_two_samples(tmp_path: Path) -> None:
    backend = load(str(written(tmp_path, {"task": "t", "index": 0, "completions": ["x"]})))
    assert texts(backend, generate("a/0")) == ["x"]
    with pytest.raises(DataError, match="a/0 and b/0 both have the index 0"):
        texts(backend, generate("b/0"))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (generate("a", n=2), ["0", "1"]),
        (generate("a", n=2, repeat=1), ["2", "3"]),
        (generate("a", n=2, call=2), ["4", "5"]),
        (generate("a", n=1, repeat=5), ["5"]),
    ],
)
def test_a_flat_list_is_read_by_repeat_or_call(tmp_path: Path, request_: GenerateRequest, expected: list[str]) -> None:
    backend = load(str(written(tmp_path, {"id": "a", "completions": list("012345")})))
    assert texts(backend, request_) == expected


def test_too_few_answers_are_one_sentence(tmp_path: Path) -> None:
    path = written(tmp_path, {"task": "t", "id": "a", "completions": ["x"], "log_likelihoods": [-1.0]})
    backend = load(str(path))
    for request, clause in [
        (generate("a", n=2), "2 completions are asked for and 1 are there"),
        (generate("a", repeat=1, call=1), "cannot tell the calls of a repeat"),
        (score("a", call=1), "the log-likelihood of text 1 is asked for, and 1 are there"),
        (generate("b", task="w"), "no line is of the task w; it has lines of t"),
    ]:
        with pytest.raises(DataError) as error:
            ask(backend, request)
        assert clause in str(error.value)
        assert str(path) in str(error.value)


def test_one_missing_answer_fails_alone(tmp_path: Path) -> None:
    backend = load(str(written(tmp_path, {"task": "t", "id": "a", "completions": ["x"]})))

    async def both() -> list[Any]:
        async with Waves(backend) as waves:
            requests = [generate("b", index=1), generate("a")]
            return await asyncio.gather(*map(waves.ask, requests), return_exceptions=True)

    missing, there = asyncio.run(both())
    assert isinstance(missing, DataError)
    assert there == Completions((Completion(text="x"),))


def test_sums_are_likelihoods_of_one_entry_in_every_repeat(tmp_path: Path) -> None:
    line = {"id": "a", "log_likelihoods": [-1.5, float("-inf")], "greedy": [True, None]}
    backend = load(str(written(tmp_path, line)))
    first, second, again = ask(backend, score("a"), score("a", call=1), score("a", repeat=3))
    assert first == again == Likelihood((-1.5,), (True,))
    assert second == Likelihood((-math.inf,), ())


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id": "a", "completions": ["\xc3\xa9"]}\n\n'))
    backend = load(str(path))
    assert backend.info.name == "replay:said"
    assert texts(backend, generate("a")) == ["é"]
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match="cannot be read"):
        load(str(path))


@pytest.mark.parametrize(
    ("line", "clause"),
    [
        ("{", "line 2: not a JSON object"),
        ("[1]", "line 2: not a JSON object"),
        ('{"completions": ["x"]}', "line 2: neither an id nor an index"),
        ('{"id": true, "completions": ["x"]}', "line 2: id is True"),
        ('{"id": "b"}', "line 2: neither completions nor log_likelihoods"),
        ('{"id": "b", "completions": "x"}', "line 2: completions must be a list of texts"),
        ('{"id": "b", "completions": [1]}', "line 2: completions must be a list of texts"),
        ('{"id": "b", "log_likelihoods": ["x"]}', "line 2: log_likelihoods must be numbers"),
        ('{"id": "b", "log_likelihoods": [-1], "greedy": []}', None),
        ('{"id": "b", "log_likelihoods": [-1], "greedy": [true, true]}', "line 2: greedy must be"),
        ('{"id": "b", "log_likelihoods": [-1], "greedy": ["no"]}', "line 2: greedy must be true or false"),
        ('{"id": "b", "repeats": [{}]}', "line 2: its repeats are not as a run's journal has them"),
        ('{"task": 3, "id": "b", "completions": ["x"]}', "line 2: task is 3"),
        ('{"id": "a", "completions": ["y"]}', "line 2: a second line for any task, sample a"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, clause: str | None) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"id": "a", "completions": ["x"]}\n' + line + "\n", encoding="utf-8")
    if clause is None:
        load(str(path))
        return
    with pytest.raises(DataError) as error:
        load(str(path))
    assert clause in str(error.value)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_or_empty(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load(str(tmp_path / "nothing.jsonl"))
    with pytest.raises(DataError, match="no line in it"):
        load(str(written(tmp_path)))


# --------------------------------------------------------------------------- a run's own journal


def journalled(folder: Path, attempts: list[Attempt], *, error: str | None = None) -> None:
    sample = Sample(id="a", index=0, row={}, content_hash="0")
    worths = [Scored(None) for _ in attempts]
    with Journal(folder / "samples.jsonl") as journal:
        journal.append(
            sample_line(task="t", sample=sample, reference=Reference(), attempts=attempts, scoreds=worths,
                        reduced={}, flags=("errored",) if error else (), error=error)
        )  # fmt: skip


def said(*words: str) -> Call:
    completions = tuple(Completion(text=word, finish_reason="stop", stop="\n") for word in words)
    return Call(prompt=Prompt(messages=(), text="?"), sampling=SAMPLING, completions=completions)


def test_a_journal_answers_by_repeat_and_call_with_every_token(tmp_path: Path) -> None:
    likelihoods = (Likelihood((-1.0, -0.25), (True, False)), Likelihood((-math.inf,), (False,)))
    scored = Call(prompt=Prompt(messages=(), text="?"), continuations=(" a", " b"), likelihoods=likelihoods)
    journalled(tmp_path, [Attempt(calls=(said("r0c0"), scored, said("r0c3"))), Attempt(calls=(said("r1", "r1n1"),))])
    backend = load(str(tmp_path))
    assert backend.info.name == f"replay:{tmp_path.name}"
    assert backend.info.verbs == {"score", "generate"}
    assert ask(backend, score("a", call=1), score("a", call=2)) == list(likelihoods)
    assert texts(backend, generate("a", call=3)) == ["r0c3"]
    assert ask(backend, generate("a", repeat=1, n=2)) == [Completions(said("r1", "r1n1").completions)]
    for request in (generate("a", call=1), generate("a", repeat=2), generate("a", repeat=1, call=1)):
        with pytest.raises(DataError, match="1 completions are asked for and 0 are there"):
            ask(backend, request)


def test_a_call_that_asked_nothing_does_not_spoil_the_journal(tmp_path: Path) -> None:
    empty = Call(prompt=Prompt(messages=(), text="?"))
    journalled(tmp_path, [Attempt(calls=(empty, said("x")))])
    assert texts(load(str(tmp_path)), generate("a")) == ["x"]


def test_a_sample_that_failed_may_have_a_second_line(tmp_path: Path) -> None:
    journalled(tmp_path, [], error="the tool broke.")
    with pytest.raises(DataError, match="it failed in the recorded run"):
        ask(load(str(tmp_path)), generate("a"))
    journalled(tmp_path, [Attempt(calls=(said("x"),), candidates=("x",))])
    assert texts(load(str(tmp_path)), generate("a")) == ["x"]
    journalled(tmp_path, [Attempt(calls=(said("y"),), candidates=("y",))])
    with pytest.raises(DataError, match="line 3: a second line for task t, sample a"):
        load(str(tmp_path))


def test_the_torn_last_line_of_a_killed_run_is_passed_over(tmp_path: Path) -> None:
    journalled(tmp_path, [Attempt(calls=(said("x"),), candidates=("x",))])
    with (tmp_path / "samples.jsonl").open("a") as file:
        file.write('{"task": "t", "id": "b", "comp')
    assert texts(load(str(tmp_path)), generate("a")) == ["x"]


def test_a_cancelled_request_is_not_answered(tmp_path: Path) -> None:
    backend = load(str(written(tmp_path, {"id": "a", "completions": ["x"]})))

    class Cancelled:
        request, cancelled = generate("a"), True

        def begin(self) -> None:
            raise AssertionError("nobody waits for this answer")

        resolve = fail = begin

    backend.answer([Cancelled()])  # type: ignore[arg-type]


def test_no_torch(tmp_path: Path) -> None:
    path = written(tmp_path, {"id": "a", "completions": ["x"]})
    code = (
        "import sys; from evalharness.registry import lookup; "
        f"lookup('backend', 'replay')({str(path)!r}); sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
