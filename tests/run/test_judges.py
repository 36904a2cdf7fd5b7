"""A run with a judge model: loaded once, recorded, counted, part of what makes scores comparable, read again later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.rows import write_rows

import evalharness
from evalharness.comparison.pairing import paired
from evalharness.errors import NotComparableError, UsageError
from evalharness.records.folder import Run
from evalharness.records.scores import scores_of_run
from evalharness.run.dry_run import dry_run
from evalharness.run.options import RunOptions
from evalharness.run.rescore import rescore

ROWS = [{"question": f"{n} times two?", "answer": str(2 * n)} for n in range(4)]
SAID = ["zero", "two", "4", "no idea"]
JUDGED = ["no", "yes, it is", "yes", "perhaps"]

COMPONENTS = """
from dataclasses import replace
from typing import ClassVar

from evalharness.judging.base import Judge
from evalharness.scoring.base import Metric
from evalharness.types import Message, Sampling, Score, Verdict


class Agrees(Judge):
    asks: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("yes",)
    judge: str = "agrees"
    yes: str = "yes"

    def label(self, said):
        return "right" if said.startswith(self.yes) else "wrong"

    async def verdicts(self, bench):
        question = Message("user", f"Is {bench.attempt.candidates[0]} right?")
        (said,) = await bench.model.generate([question], call=0, sampling=Sampling(max_tokens=8))
        details = {"raw": said.text, "model": bench.model.info.name}
        return (Verdict(judge=self.judge, candidate=0, label=self.label(said.text), details=details),)

    def read_again(self, verdict, reference, attempt):
        return replace(verdict, label=self.label(verdict.details["raw"]))


class Agreed(Metric):
    needs: ClassVar[str] = "verdict"
    metric: str = "agreed"
    judge: str = "agrees"

    def score(self, attempt, reference, answer, parser):
        return Score(float(attempt.verdicts[0].label == "right"))


COMPONENTS = {"judge": {"agrees": Agrees}, "metric": {"agreed": Agreed}}
"""


def definition(folder: Path, **judge: Any) -> None:
    values = {
        "name": "doubles",
        "data": {"file": "doubles.jsonl"},
        "prompt": {"question": "{{ question }}"},
        "target": "{{ answer }}",
        "judging": [{"judge": "agrees", **judge}],
        "metrics": ["agreed"],
    }
    (folder / "doubles.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


@pytest.fixture
def own(here: Path) -> Path:
    folder = here / "own"
    folder.mkdir()
    (folder / "components.py").write_text(COMPONENTS)
    definition(folder)
    write_rows(folder / "doubles.jsonl", ROWS)
    write_rows(here / "said.jsonl", [{"index": n, "completions": [text]} for n, text in enumerate(SAID)])
    write_rows(here / "judged.jsonl", [{"index": n, "completions": [text]} for n, text in enumerate(JUDGED)])
    return folder


def judged(own: Path, **options: Any) -> Run:
    options = {"judge_model": "replay:judged.jsonl", **options}
    return evalharness.evaluate("doubles", model="replay:said.jsonl", include=[own], trust_code=True, **options)


def test_a_run_is_judged_by_a_model(own: Path) -> None:
    run = judged(own)
    assert run.results is not None
    assert run.results.scores["agreed"].value == 0.5
    assert run.results.verdicts == {"agrees": {"wrong": 2, "right": 2}}
    assert run.results.usage["judge_requests"] == 4
    assert run.record.judge is not None
    assert run.record.judge["spec"] == "replay:judged.jsonl"
    assert [line["repeats"][0]["verdicts"][0]["details"]["raw"] for line in run.lines()] == JUDGED


def test_two_judges_make_two_protocols(own: Path, here: Path) -> None:
    first = judged(own)
    write_rows(here / "other.jsonl", [{"index": n, "completions": ["yes"]} for n in range(4)])
    other = judged(own, judge_model="replay:other.jsonl")
    assert first.record.hashes["protocol"] != other.record.hashes["protocol"]
    assert first.record.hashes["content"] == other.record.hashes["content"]
    with pytest.raises(NotComparableError, match=r"the judges are replay:judged and replay:other"):
        paired(scores_of_run(first), scores_of_run(other))
    assert judged(own, resume=False, output=here / "again").record.hashes == first.record.hashes


def test_a_model_that_judges_itself_is_loaded_once(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evalharness.run import judges

    monkeypatch.delattr(judges, "load_backend")
    run = judged(own, judge_model="replay:said.jsonl")
    assert [line["repeats"][0]["verdicts"][0]["details"]["raw"] for line in run.lines()] == SAID


def test_a_judged_task_needs_a_judge_and_no_other_takes_one(own: Path) -> None:
    with pytest.raises(UsageError, match=r"judged by a model \('agrees'\), and none is named; add --judge-model"):
        judged(own, judge_model=None)
    with pytest.raises(UsageError, match="no model judges gsm8k; leave it out"):
        evalharness.evaluate("gsm8k", model="replay:said.jsonl", judge_model="replay:judged.jsonl", limit=1)
    with pytest.raises(UsageError, match="--judge-option"):
        judged(own, judge_options={"max_cost": -1})


def test_what_was_said_is_read_again_without_the_judge(own: Path, here: Path) -> None:
    run = judged(own)
    (here / "judged.jsonl").unlink()
    definition(own, yes="perhaps")
    again = rescore(run, include=(own,), trust_code=True)
    assert again.results.scores["agreed"].value == 0.25
    assert [change.id for change in again.changes] == ["1", "2", "3"]
    assert again.run.record.hashes["protocol"] != run.record.hashes["protocol"]


def test_the_plan_counts_what_the_judge_is_asked(own: Path) -> None:
    options = RunOptions(
        task=("doubles",), model=("replay:said.jsonl",), judge_model="replay:judged.jsonl", include=(own,),
        trust_code=True,
    )  # fmt: skip
    (estimate,) = dry_run(options)
    assert (estimate.requests, estimate.judge_requests) == (4, 4)
