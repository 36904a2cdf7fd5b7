"""Judges by model in whole runs: conversations that are rated, pairs against another run, the model as the judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.rows import write_rows

import evalharness
from evalharness.errors import UsageError
from evalharness.records.folder import Run
from evalharness.run.rescore import rescore

TURNS = [[f"Name {n} rivers.", "And one more."] for n in range(6)]
FIRST = [[f"rivers of {n}", "the Po"] for n in range(6)]
SECOND = [[f"no river {n}", "the Rhine"] for n in range(6)]


@pytest.fixture
def own(here: Path) -> Path:
    folder = here / "own"
    folder.mkdir()
    values: dict[str, Any] = {
        "name": "rivers",
        "data": {"file": "rivers.jsonl"},
        "prompt": {"question": "{{ turns[0] }}"},
        "target": "",
        "facts": {"turns": "{{ turns }}"},
        "elicitation": {"method": "conversation"},
        "answer": {"parser": "text"},
        "judging": [{"judge": "rating", "later_prompt": "single-v1-multi-turn", "questions": "{{ turns }}"}],
        "metrics": [
            {"metric": "judge_rating", "on_unparsed": "drop"},
            {"metric": "verdict_share", "judge": "rating", "label": "unparsed"},
        ],
        "protocols": {
            "pairs": {
                "judging": [{"judge": "pairwise", "later_prompt": "pair-v2-multi-turn", "questions": "{{ turns }}"}],
                "metrics": ["win_rate", "position_consistency", "first_position_rate"],
            }
        },
    }
    (folder / "rivers.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    write_rows(folder / "rivers.jsonl", [{"turns": turns} for turns in TURNS])
    write_rows(here / "first.jsonl", [{"index": n, "completions": said} for n, said in enumerate(FIRST)])
    write_rows(here / "second.jsonl", [{"index": n, "completions": said} for n, said in enumerate(SECOND)])
    return folder


def says(here: Path, name: str, answers: list[list[str]]) -> str:
    """A judge that answers so: by sample, in the order of its questions."""
    write_rows(here / name, [{"index": n, "completions": said} for n, said in enumerate(answers)])
    return f"replay:{name}"


def run(own: Path, model: str, judge: str, **options: Any) -> Run:
    return evalharness.evaluate("rivers", model=f"replay:{model}.jsonl", judge_model=judge, include=[own], **options)


def test_both_turns_are_rated(own: Path, here: Path) -> None:
    judge = says(here, "judge.jsonl", [["[[8]]", "[[4]]"], ["[[8]]", "hm"], *[["[[6]]", "[[6]]"]] * 4])
    found = run(own, "first", judge)
    assert found.results is not None
    scores = found.results.scores
    assert scores["judge_rating"].value == pytest.approx((8 + 4 + 8 + 8 * 6) / 11)
    assert scores["unparsed"].value == pytest.approx(1 / 12)
    assert found.results.verdicts == {"rating": {"rated": 11, "unparsed": 1}}


def test_what_was_said_is_read_again_with_no_judge(own: Path, here: Path) -> None:
    judge = says(here, "judge.jsonl", [["[[2]] no, [[8]]", "[[4]]"]] * 6)
    found = run(own, "first", judge)
    (here / "judge.jsonl").unlink()
    path = own / "rivers.yaml"
    values = yaml.safe_load(path.read_text())
    values["judging"][0]["which"] = "last"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    again = rescore(found, include=(own,))
    assert found.results is not None
    assert (found.results.scores["judge_rating"].value, again.results.scores["judge_rating"].value) == (3, 6)


def test_exchanging_two_runs_mirrors_every_count(own: Path, here: Path) -> None:
    rating = says(here, "rating.jsonl", [["[[5]]", "[[5]]"]] * 6)
    runs = {name: run(own, name, rating, output=here / name) for name in ("first", "second")}
    # Of each question: first turn with the candidate first, then second; then the second turn.
    judge = [
        ["[[A]]", "[[B]]", "[[A]]", "[[A]]"], ["[[B]]", "[[A]]", "[[C]]", "[[C]]"], ["[[B]]", "[[B]]", "hm", "[[A]]"],
        *[["[[A]]", "[[B]]", "[[B]]", "[[A]]"]] * 2, ["[[A]]", "[[B]]", "[[A]]", "[[B]]"],
    ]  # fmt: skip
    # With the sides exchanged, what was the second order is the first one: the judge reads the same two texts.
    exchanged = [[said[1], said[0], said[3], said[2]] for said in judge]
    against = {"first": "second", "second": "first"}
    results = {}
    for name, answers in (("first", judge), ("second", exchanged)):
        other = runs[against[name]].path
        found = run(
            own, name, says(here, f"pairs-{name}.jsonl", answers), protocol="pairs", output=here / f"pairs-{name}",
            set={"judging": {"pairwise": {"against": str(other)}}},
        )  # fmt: skip
        assert found.results is not None
        results[name] = found.results
    counts = {name: found.verdicts["pairwise"] for name, found in results.items()}
    assert counts["first"] == {"win": 5, "loss": 3, "inconsistent": 2, "tie": 1, "unparsed": 1}
    assert counts["second"] == {**counts["first"], "win": 3, "loss": 5}
    values = {name: {metric: score.value for metric, score in found.scores.items()} for name, found in results.items()}
    assert values["second"]["win_rate"] == pytest.approx(1 - float(values["first"]["win_rate"] or 0))
    for metric in ("position_consistency", "first_position_rate"):
        assert values["second"][metric] == pytest.approx(values["first"][metric])


def test_a_pair_without_another_run_is_told(own: Path, here: Path) -> None:
    judge = says(here, "judge.jsonl", [["[[A]]"] * 4] * 6)
    with pytest.raises(UsageError, match=r"name the run whose outputs it is with --set judging\.pairwise\.against"):
        run(own, "first", judge, protocol="pairs")
    with pytest.raises(UsageError, match=r"judging\.pair: rivers lists no judge 'pair'; did you mean 'pairwise'"):
        run(own, "first", judge, protocol="pairs", set={"judging": {"pair": {"against": "x"}}})


def test_the_model_under_test_judges(here: Path) -> None:
    folder = here / "own"
    folder.mkdir()
    rows = [{"input": f"Say {n}.", "output_1": str(n), "output_2": "no", "label": 1 + n % 2} for n in range(4)]
    write_rows(folder / "llmbar.jsonl", rows)
    said = [["Output (a)", "Output (b)"], ["Output (a)", "Output (b)"], ["Output (a)"] * 2, ["Both", "Output (a)"]]
    write_rows(here / "said.jsonl", [{"index": n, "completions": texts} for n, texts in enumerate(said)])
    found = evalharness.evaluate(
        "llmbar", model="replay:said.jsonl",
        set={"data": {"file": str(folder / "llmbar.jsonl"), "split": "test", "subsets": None}},
    )  # fmt: skip
    assert found.results is not None
    values = {name: score.value for name, score in found.results.scores.items()}
    assert found.results.verdicts == {"both_orders": {"win": 2, "inconsistent": 1, "unparsed": 1}}
    # Of eight orders: two right, two wrong, one and one, and of the last one nothing and a right one.
    assert values["judgement_accuracy"] == pytest.approx(4 / 8)
    assert values["accuracy_of_read"] == pytest.approx(4 / 7)
    assert values["position_consistency"] == pytest.approx(2 / 3)
    assert values["unparsed_verdicts"] == 0.25


@pytest.mark.model
def test_a_real_judge_mirrors_exchanged_sides(here: Path) -> None:
    """The embedded model judges by log-likelihoods: of each pair it is asked the same two questions from both sides."""
    folder = here / "own"
    folder.mkdir()
    values: dict[str, Any] = {
        "name": "pairs",
        "data": {"file": "pairs.jsonl"},
        "prompt": {"question": "{{ question }}"},
        "target": "",
        "answer": {"parser": "text"},
        "judging": [{"judge": "pairwise", "prompt": "short.yaml", "other": "{{ [other] }}", "probabilities": True}],
        "metrics": [{"metric": "win_rate", "by": "preference"}, "length_controlled_win_rate", "first_position_rate"],
    }
    prompt = {
        "source": "own", "license": "none", "labels": {"first": ["a"], "second": ["b"]},
        "prompt": "{{ questions[0] }}\na: {{ first[0] }}\nb: {{ second[0] }}\nBetter, a or b?",
    }  # fmt: skip
    (here / "short.yaml").write_text(yaml.safe_dump(prompt))
    (folder / "pairs.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    sides = [("The Nile.", "A river"), ("I do not know. M M M", "The Rhine, which flows north.")]
    found = []
    for number, pairs in enumerate((sides, [(other, one) for one, other in sides])):
        rows = [{"question": "Name a river.", "other": other} for _, other in pairs]
        write_rows(folder / "pairs.jsonl", rows)
        write_rows(here / "said.jsonl", [{"index": n, "completions": [one]} for n, (one, _) in enumerate(pairs)])
        judged = evalharness.evaluate(
            "pairs", model="replay:said.jsonl", judge_model="smollm2", include=[folder], output=here / str(number)
        )
        verdicts = [line["repeats"][0]["verdicts"][0]["details"] for line in judged.lines()]
        found.append([verdict["preference"] for verdict in verdicts])
    assert all(0 < preference < 1 for preference in found[0])
    assert found[1] == pytest.approx([1 - preference for preference in found[0]], abs=1e-9)
