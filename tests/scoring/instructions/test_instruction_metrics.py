"""Accuracies by prompt and by instruction, strict and loose."""

from __future__ import annotations

import json

import pytest

from evalharness.answers.text import TextParser
from evalharness.errors import DataError
from evalharness.records.run import score_record
from evalharness.scoring.apply import Scorer
from evalharness.scoring.base import build_metrics
from evalharness.types import Attempt, Reference, Score

METRICS = build_metrics(
    [
        {"metric": "prompt_followed", "label": "prompt"},
        {"metric": "instructions_followed", "label": "each"},
        {"metric": "prompt_followed", "label": "prompt_loose", "loose": True},
        {"metric": "instructions_followed", "label": "each_loose", "loose": True},
    ],
    "test",
)
TARGET = json.dumps(
    {
        "ids": ["punctuation:no_comma", "startend:quotation", "detectable_format:number_bullet_lists"],
        "arguments": [{}, {}, {"num_bullets": 1}],
    }
)


def scored(text: str, target: object = TARGET) -> dict[str, Score]:
    reference = Reference(target=target)  # type: ignore[arg-type]
    return dict(Scorer(TextParser(), METRICS).score(Attempt(calls=(), candidates=(text,)), reference).scores)


def test_by_prompt_and_by_instruction() -> None:
    found = scored('Sure, here:\n"so it is"')
    assert {name: score.value for name, score in found.items()} == pytest.approx(
        {"prompt": 0.0, "each": 0.0, "prompt_loose": 0.0, "each_loose": 2 / 3}
    )
    assert (found["prompt"].weight, found["each"].weight) == (1.0, 3.0)
    assert found["prompt"].explanation == (
        "punctuation:no_comma: with a comma; startend:quotation: not between double quotation marks; "
        "detectable_format:number_bullet_lists: 0 bullet points, not 1"
    )
    assert found["each_loose"].explanation == "detectable_format:number_bullet_lists: 0 bullet points, not 1"


def test_what_is_all_followed_needs_no_explanation() -> None:
    found = scored('"so it is\n- here"')
    assert {score.value for score in found.values()} == {1.0}
    assert {score.explanation for score in found.values()} == {None}


def test_an_empty_response_weighs_as_much_as_another() -> None:
    found = scored("  ")
    assert (found["each"].value, found["each"].weight) == (0.0, 3.0)


def test_the_mean_counts_each_instruction_alike() -> None:
    """lm-eval's agg_inst_level_acc: all instructions of all prompts in one list."""
    one = json.dumps({"ids": ["punctuation:no_comma"], "arguments": [{}]})
    scores = [scored("no quotation, no", TARGET)["each"], scored("none", one)["each"]]
    record = score_record(
        [score.value for score in scores], [score.weight for score in scores], ["a", "b"],
        aggregate=METRICS[1].aggregate, higher_is_better=True,
    )  # fmt: skip
    assert record.value == pytest.approx(1 / 4)


def test_a_target_that_is_no_text_is_refused() -> None:
    with pytest.raises(DataError, match="the metric prompt needs a target that is the JSON of instructions"):
        scored("text", 3)
