"""ReAct asks what its hotpotqa.ipynb asks, byte for byte, with the worked questions of its prompts_naive.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from parity import ours

from evalharness.data.sources import MissingDataError
from evalharness.run.plan import Cell
from evalharness.types import GenerateRequest

PROMPTS = "react_prompts/prompts_naive.json"
INSTRUCTION = """\
Solve a question answering task with interleaving Thought, Action, Observation steps. Thought can reason about the \
current situation, and Action can be three types: \n\
(1) Search[entity], which searches the exact entity on Wikipedia and returns the first paragraph if it exists. If not, \
it will return some similar entities to search.
(2) Lookup[keyword], which returns the next sentence containing keyword in the current passage.
(3) Finish[answer], which returns the answer and finishes the task.
Here are some examples.
"""


@pytest.fixture
def cell(real_mirror: Path) -> Cell:
    try:
        return ours.cell("hotpotqa_closed_book", real_mirror, protocol="react", limit=3)
    except MissingDataError as missing:
        pytest.skip(str(missing))


def test_the_first_turn_and_the_second(cell: Cell, real_mirror: Path) -> None:
    """``webthink_prompt + question + "\\n" + "Thought 1:"``, 100 tokens, greedy, up to ``Observation 1:``."""
    file = real_mirror.parent / "extra" / PROMPTS
    shown = INSTRUCTION + json.loads(file.read_text(encoding="utf-8"))["webthink_simple6"]
    for sample in cell.samples:
        first, again, second, *_ = ours.requests(cell, sample)
        assert isinstance(first, GenerateRequest)
        assert isinstance(again, GenerateRequest)
        assert isinstance(second, GenerateRequest)
        begun = f"{shown}Question: {sample.row['question']}\nThought 1:"
        assert first.prompt.text == begun
        assert (first.sampling.max_tokens, first.sampling.temperature) == (100, 0.0)
        assert first.sampling.stop == ("\nObservation 1:",)
        assert (again.prompt.text, again.sampling.stop) == (f"{begun} so it is\nAction 1:", ("\n",))
        told = "Action 1: so it is\nObservation 1: Invalid action: so it is"
        assert second.prompt.text == f"{begun} so it is\n{told}\nThought 2:"


def test_what_is_searched_decides_what_compares(cell: Cell, real_mirror: Path) -> None:
    smaller = ours.cell(
        "hotpotqa_closed_book",
        real_mirror,
        protocol="react",
        limit=3,
        set={
            "elicitation": {"tools": [{"tool": "search", "corpus": {"named": "wikipedia_pieces", "k1": 1.2}}, "lookup"]}
        },
    )
    assert cell.corpus is not None
    assert cell.sources[0].corpus is not None
    assert cell.sources[0].corpus.passages == len(cell.corpus) > 3000
    assert cell.hashes["corpus"] == cell.corpus.fingerprint
    assert smaller.hashes["corpus"] != cell.hashes["corpus"]
    assert smaller.hashes["protocol"] != cell.hashes["protocol"]
