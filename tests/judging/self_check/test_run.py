"""self_check_halueval from beginning to end: replayed draws, numbers that are counted by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.rows import write_rows
from parity.ours import write_split

import evalharness
from evalharness.records.folder import Run
from evalharness.run.rescore import rescore

pytest.importorskip("punkt")
MARKED = [("The mill is old.", "no"), ("The mill is new.", "yes"), ("It burned.", "yes"), ("It stands.", "no")]
DRAWN = [["The mill is old."] * 5, ["The mill is old."] * 5, ["It stands."] * 5, ["It burned."] * 5]


def run(folder: Path, drawn: list[list[str]], **options: Any) -> Run:
    rows = [
        {"ID": str(n), "user_query": f"Question {n}?", "chatgpt_response": text, "hallucination": marked}
        for n, (text, marked) in enumerate(MARKED)
    ]
    write_split(folder / "mirror", "pminervini/HaluEval/general/data", rows)
    said = write_rows(folder / "said.jsonl", [{"index": n, "completions": texts} for n, texts in enumerate(drawn)])
    return evalharness.evaluate(
        "self_check_halueval",
        model=f"replay:{said}",
        data_dir=folder / "mirror",
        output=folder / "run",
        **options,
    )


def test_the_unigram_model_and_the_marks_of_people(tmp_path: Path) -> None:
    """Every token of the first text stands 6 times in 30. The marked ones have a token that stands once, in 30 and in
    18 tokens, and so has the last, in 18: of the 4 pairs of a marked and another text 3 are won and one is tied."""
    done = run(tmp_path, DRAWN)
    assert done.results is not None
    scores = [line["scores"]["unigram_max"] for line in done.lines()]
    assert scores == pytest.approx([math.log(5), math.log(30), math.log(18), math.log(18)])
    assert done.results.scores["auroc_max"].value == 3.5 / 4
    assert done.results.scores["auroc_max"].aggregate == "auroc"
    assert done.results.scores["auroc_max"].n == 4
    assert done.results.verdicts == {"self_check_unigram": {"scored": 4}}
    again = rescore(done, tmp_path / "again").results
    assert again.scores == done.results.scores


def test_one_kind_alone_has_no_area(tmp_path: Path) -> None:
    done = run(tmp_path, DRAWN, limit=1)
    assert done.results is not None
    assert done.results.scores["auroc_max"].value is None
    assert json.loads((done.path / "results.json").read_text())["scores"]["auroc_max"]["value"] is None


def test_a_judge_model_asks_about_each_draw(tmp_path: Path) -> None:
    words = [["yes"] * 5, ["no"] * 5, ["no", "no", "yes", "yes", "perhaps"], ["yes"] * 5]
    judge = write_rows(tmp_path / "judge.jsonl", [{"index": n, "completions": each} for n, each in enumerate(words)])
    done = run(tmp_path, DRAWN, protocol="prompt", judge_model=f"replay:{judge}")
    assert done.results is not None
    assert [line["scores"]["unsupported"] for line in done.lines()] == [0.0, 1.0, 0.5, 0.0]
    assert done.results.scores["auroc_prompt"].value == 1.0
    assert done.results.scores["unsupported"].value == pytest.approx(1.5 / 4)


def test_a_task_of_ones_own_checks_the_models_answer(tmp_path: Path) -> None:
    """Without a passage the answer is asked first, and the draws after it."""
    definition = {
        "name": "mills",
        "data": {"file": "mills.jsonl"},
        "prompt": {"question": "{{ question }}"},
        "target": "",
        "elicitation": {"method": "self_check", "samples": 2},
        "judging": ["self_check_unigram"],
        "metrics": [{"metric": "self_check", "judge": "self_check_unigram"}],
    }
    (tmp_path / "mills.yaml").write_text(yaml.safe_dump(definition))
    write_rows(tmp_path / "mills.jsonl", [{"question": "Which mill?"}])
    said = write_rows(tmp_path / "said.jsonl", [{"index": 0, "completions": ["a a", "unused", "a", "b"]}])
    done = evalharness.evaluate(str(tmp_path / "mills.yaml"), model=f"replay:{said}", output=tmp_path / "run")
    (line,) = done.lines()
    calls = line["repeats"][0]["calls"]
    assert [len(call["completions"]) for call in calls] == [1, 2]
    assert [call["sampling"]["temperature"] for call in calls] == [0.0, 1.0]
    assert line["answer"] == "a a"
    assert line["repeats"][0]["verdicts"][0]["label"] == "scored"
