"""References in other words: what is asked, what is kept of what was said, and what does not end a run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from e2e.rows import write_rows
from judging.says import Answer, Says, bench
from parity.ours import write_split

import evalharness
from evalharness.errors import BudgetError, DataError, ServiceError, UsageError
from evalharness.judging.base import build_judges
from evalharness.judging.paraphrase import WORDINGS, Paraphrase
from evalharness.types import Attempt, Reference, Sample, Verdict


def judge(**options: Any) -> Paraphrase:
    (built,) = build_judges([{"judge": "paraphrase", **options}], "own.yaml: judging")
    assert isinstance(built, Paraphrase)
    return built


def said(*answers: Answer, target: Any = "The lake froze.") -> Verdict:
    wordings = [f"Manner {number}." for number in range(len(answers))]
    (verdict,) = asyncio.run(judge(wordings=wordings).verdicts(bench(Says(answers), {}, "anything", target=target)))
    return verdict


def test_every_reference_is_asked_for_in_every_wording() -> None:
    asker = Says(lambda messages: f"No. {len(messages[-1].content)}")
    (verdict,) = asyncio.run(judge().verdicts(bench(asker, {}, "one", "two", target=("The lake froze.", "Ice."))))
    shown = [messages[-1].content for messages in asker.asked]
    assert len(shown) == 2 * len(WORDINGS) == len(set(shown))
    assert shown[0].startswith(WORDINGS[0])
    assert [text.endswith("\n\nText: The lake froze.") for text in shown] == [True] * 10 + [False] * 10
    assert (verdict.candidate, verdict.label) == (0, "paraphrased")


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("Ice covered the lake.", "Ice covered the lake."),
        ('  "Ice covered\nthe lake." ', "Ice covered the lake."),
        ("Sure, here is the text:\n\nIce covered the lake.", "Ice covered the lake."),
        ("Here is a paraphrase: Ice covered the lake.", "Ice covered the lake."),
        ("Text: Ice covered the lake.\n\nI kept the meaning.", "Ice covered the lake."),
        ("The mayor said: ice covered the lake.", "The mayor said: ice covered the lake."),
        ("湖が凍った。", "湖が凍った。"),
    ],
)
def test_what_is_kept_of_what_was_said(answer: str, kept: str) -> None:
    assert said(answer).details["paraphrases"] == [kept]


def test_what_says_nothing_is_counted() -> None:
    assert (said("", "\n ", '""').label, said("Ice.", "").label) == ("unparsed", "partly")
    assert said("Ice.", "Ice.", "Frost.").details["paraphrases"] == ["Ice.", "Frost."]


def test_a_model_that_fails_does_not_end_the_run_unless_the_budget_is_spent() -> None:
    failed = said(ServiceError("the server is away."), ServiceError("the server is away."))
    assert (failed.label, failed.explanation, failed.details["paraphrases"]) == ("error", "the server is away.", [])
    partly = said("Ice.", ServiceError("the server is away."))
    assert (partly.label, partly.details["paraphrases"]) == ("partly", ["Ice."])
    for ends in (BudgetError("spent."), UsageError("no such verb.")):
        with pytest.raises(type(ends)):
            said(ends)


def test_a_recorded_verdict_is_read_again() -> None:
    verdict = said("Ice.", "")
    old = Verdict(judge="paraphrase", candidate=0, label="?", details={**verdict.details, "paraphrases": ["old"]})
    again = judge().read_again(old, Reference(target="The lake froze."), Attempt(calls=()))
    assert (again.label, again.details["paraphrases"]) == ("partly", ["Ice."])


def test_a_target_that_is_no_text() -> None:
    with pytest.raises(DataError, match="paraphrases right texts, and the target is 3"):
        said("Ice.", target=3)


def test_the_hash_covers_what_is_asked() -> None:
    sample = Sample(id="1", index=0, row={}, content_hash="c")
    shown = [judge(**options).shown(sample, "Ice.") for options in ({}, {"wordings": ["Say it again."]})]
    assert shown[0] != shown[1]
    assert shown[1] == {"messages": [["user", "Say it again. Reply with the new text alone.\n\nText: Ice."]]}


def test_a_run_shows_the_gain(tmp_path: Path) -> None:
    rows = [{"id": str(n), "document": "Skaters came.", "summary": "The lake froze over."} for n in range(2)]
    write_split(tmp_path / "mirror", "EdinburghNLP/xsum/default/validation", rows)
    texts = ["Ice covered the whole lake.", "The lake froze over."]
    heard = write_rows(tmp_path / "said.jsonl", [{"id": str(n), "completions": [t]} for n, t in enumerate(texts)])
    paraphrases = [{"id": str(n), "completions": ["Ice covered the lake."]} for n in range(2)]
    done = evalharness.evaluate(
        "xsum",
        model=f"replay:{heard}",
        judge_model=f"replay:{write_rows(tmp_path / 'made.jsonl', paraphrases)}",
        protocol="para-ref",
        data_dir=tmp_path / "mirror",
        output=tmp_path / "run",
        set={"judging": [{"judge": "paraphrase", "wordings": ["Say it again."]}]},
    )
    assert done.results is not None
    scores = {name: score.value for name, score in done.results.scores.items()}
    own, more = (2 * 2 / 9 + 1) / 2, (2 * 4 / 9 + 1) / 2
    assert scores == pytest.approx({"rougeL": own, "rougeL_multiplied": more, "rougeL_gain": more - own})
    assert done.results.verdicts == {"paraphrase": {"paraphrased": 2}}
