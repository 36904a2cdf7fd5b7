"""The shipped open-book protocols: which passages they show, and what a run says of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from parity import ours
from parity.conftest import real_mirror

import evalharness

__all__ = ["real_mirror"]

TRIVIA = "mandarjoshi/trivia_qa"
ANSWER = {"value": "Oldby", "aliases": ["Oldby", "Old By"]}
QUESTIONS = [
    {"question": "Which town has the mill of Ada Moll?", "answer": ANSWER},
    {"question": "Where does the Lenn rise?", "answer": ANSWER},
]
PAGES = {
    "doc_source": ["TagMe", "TagMe"],
    "filename": ["a.txt", "b.txt"],
    "title": ["Ada Moll", "Lenn"],
    "wiki_context": ["Ada Moll built a mill at Oldby.", "The Lenn rises in the hills. " + "It flows on. " * 40],
}


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALHARNESS_DATA", raising=False)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    root = tmp_path / "data/mirror"
    ours.write_split(root, f"{TRIVIA}/rc.nocontext/validation", QUESTIONS)
    ours.write_split(root, f"{TRIVIA}/rc.wikipedia/validation", [{"question": "?", "entity_pages": PAGES}])
    ours.write_split(root, "google/boolq/default/validation", [{"passage": "A mill grinds grain at Oldby."}])
    ours.write_split(root, "EleutherAI/wikitext_document_level/wikitext-2-raw-v1/test", [{"page": "Salt is white."}])
    extra = tmp_path / "data/extra/halueval_qa_one_turn.jsonl.gz"
    extra.parent.mkdir(parents=True)
    with gzip.open(extra, "wt") as file:
        for name in ("Ada", "Ben"):
            question, answer = f"Where was {name} born?", f"Tolm of {name}"
            row = {"knowledge": f"{name} was born in {answer}.", "question": question, "right_answer": answer}
            file.write(json.dumps(row) + "\n")
    return root


def _asked(task: str, protocol: str, mirror: Path) -> list[str]:
    cell = ours.cell(task, mirror, protocol=protocol, shots=0)
    return [request.prompt.text for sample in cell.samples for request in ours.requests(cell, sample)]


def test_a_question_is_shown_with_what_was_found(mirror: Path) -> None:
    first, second = _asked("triviaqa", "open-book", mirror)
    assert first == (
        "Passage: Ada was born in Tolm of Ada.\n\nPassage: A mill grinds grain at Oldby.\n\n"
        "Question: Which town has the mill of Ada Moll?\nAnswer:"
    )
    assert second == "Question: Where does the Lenn rise?\nAnswer:"


def test_the_data_sets_own_pages_are_cut_and_keep_their_titles(mirror: Path) -> None:
    (corpus,) = {s.corpus for s in ours.cell("triviaqa", mirror, protocol="own-pages").sources}
    assert corpus is not None
    assert corpus.passages == 3
    first, second = _asked("triviaqa", "own-pages", mirror)
    assert first.startswith("Passage: Ada Moll built a mill at Oldby.\n\nQuestion: Which town")
    assert second.startswith("Passage: The Lenn rises in the hills. It flows on.")


def test_a_run_says_which_corpus_and_how_often_the_answer_was_there(mirror: Path, tmp_path: Path) -> None:
    said = tmp_path / "said.jsonl"
    said.write_text("".join(json.dumps({"index": n, "completions": ["Tolm of Ada"]}) + "\n" for n in range(2)))
    run = evalharness.evaluate(
        task="halueval_qa_open", model=f"replay:{said}", data_dir=mirror, output=tmp_path / "run"
    )
    scores: dict[str, Any] = {name: score.value for name, score in run.results.scores.items()}
    assert scores == {
        "exact_match": 0.5, "f1": pytest.approx((1 + 2 / 3) / 2), "retrieval_recall@1": 1.0,
        "retrieval_recall@5": 1.0, "retrieval_recall@10": 1.0,
    }  # fmt: skip
    (source,) = json.loads((tmp_path / "run/run.json").read_text())["data"]
    assert source["corpus"]["passages"] == 4
    assert [part["location"] for part in source["corpus"]["sources"]] == [
        "extra/halueval_qa_one_turn.jsonl",
        "google/boolq/default/validation.jsonl.gz",
        "EleutherAI/wikitext_document_level/wikitext-2-raw-v1/test.jsonl.gz",
    ]


def test_real_questions_find_their_paragraphs(real_mirror: Path) -> None:
    """By the count that DPR's rule makes; 13 are answered by yes, no, or other words than the paragraphs'."""
    cell = ours.cell("halueval_qa_open", real_mirror)
    metrics = [metric for metric in cell.task.metrics if metric.metric == "retrieval_recall"]
    references = [cell.task.renderer.reference(sample) for sample in cell.samples]
    held = [sum(_held(metric, reference) for reference in references) for metric in metrics]
    if len(references) == 250:
        assert held == [226, 237, 237]
    assert held[1] > 0.9 * len(references)


def _held(metric: Any, reference: Any) -> float:
    from evalharness.types import Attempt

    return float(metric.score(Attempt(calls=()), reference, None, None).value)
