"""What every judge has, and what a list of them may be."""

from __future__ import annotations

import pytest

from evalharness.answers.base import build_parser
from evalharness.errors import DataError
from evalharness.judging.base import Bench, Judge, build_judges
from evalharness.registry import names
from evalharness.types import Attempt, Parsed, Reference, Sample, Verdict

EXECUTION = {"judge": "execution", "tests": "", "calls": "{{ [] }}"}


def test_every_registered_judge_is_a_judge() -> None:
    from evalharness.registry import lookup

    assert all(issubclass(lookup("judge", name), Judge) for name in names("judge"))


@pytest.mark.parametrize(
    ("specs", "sentence"),
    [
        (["executon"], "judging[0]: unknown judge 'executon'; did you mean 'execution'?"),
        ([{"tests": ""}], "judging[0]: the key 'judge' with the name of a judge is missing."),
        ([EXECUTION | {"test": ""}], "judging[0]: test: unknown key; did you mean 'tests'?"),
        (
            [EXECUTION, EXECUTION],
            "judging[1]: the judge 'execution' is listed twice; metrics find verdicts by that name.",
        ),
    ],
)
def test_wrong_judges_are_refused_in_a_sentence(specs: list[object], sentence: str) -> None:
    with pytest.raises(DataError) as error:
        build_judges(specs, "judging")  # type: ignore[arg-type]
    assert str(error.value) == sentence


class Length(Judge):
    """Says how long each answer is."""

    judge: str = "length"

    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        return tuple(
            Verdict(judge=self.judge, candidate=number, label=str(len(answer.value or "")))
            for number, answer in enumerate(bench.answers())
        )


def bench(parser: str | None) -> Bench:
    return Bench(
        task="own",
        sample=Sample(id="0", index=0, row={}, content_hash="c"),
        reference=Reference(),
        attempt=Attempt(calls=(), candidates=("It is 17.", " a")),
        parser=build_parser(parser, "answer") if parser else None,
    )


def test_judges_see_what_the_tasks_parser_reads() -> None:
    assert [answer.value for answer in bench("number").answers()] == ["17", None]
    assert bench(None).answers() == [Parsed("It is 17.", (0, 9)), Parsed(" a", (0, 2))]


def test_a_judge_of_ones_own_needs_a_name_and_verdicts() -> None:
    import asyncio

    judge = Length()
    assert (judge.templates, judge.columns, judge.executes) == ((), frozenset(), False)
    assert judge.shown(bench(None).sample, "x") == {}
    assert [verdict.label for verdict in asyncio.run(judge.verdicts(bench(None)))] == ["9", "2"]
