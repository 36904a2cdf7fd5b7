"""Questions perturbed: the row's own words and no others, with what is right moving along."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.errors import UsageError
from evalharness.prompting.perturbed import PerturbedRenderer
from evalharness.tasks.definition import TaskDefinition
from evalharness.tasks.task import Task
from evalharness.types import Sample

METALS: dict[str, Any] = {
    "stem": "Which metal rusts when it lies in rain?",
    "options": ["iron", "gold", "tin", "lead"],
    "right": 0,
}
LETTERED: dict[str, Any] = {
    "prompt": {"template": "lettered_choices", "question": "Question: {{ stem }}", "options": "{{ options }}"},
    "choices": {"texts": ["A", "B", "C", "D"], "gold": "{{ right }}"},
}
TEXTS: dict[str, Any] = {
    "prompt": {"template": "question_answer", "question": "{{ stem }}"},
    "choices": {"texts": "{{ options }}", "gold": "{{ right }}"},
}
SHOWN_TEXTS = {
    "prompt": {"template": "lettered_choices", "question": "{{ stem }}", "options": "{{ options }}"},
    "choices": {"texts": "{{ options }}", "gold": "{{ right }}"},
}
IN_QUESTION = {
    "prompt": {"question": "The {{ kind }} is bigger than the {{ other }}, so {{ choice }}"},
    "choices": {"texts": ["{{ kind }}", "{{ other }}"], "gold": "{{ 0 }}", "continuation": "is the smaller one"},
}


def task(*perturb: Any, **sections: Any) -> Task:
    definition = TaskDefinition.model_validate(
        {"name": "made_up", "data": {"file": "rows.jsonl", "split": "test"}, "perturb": perturb, **sections}
    )
    return Task(definition=definition, protocol="default", path=Path("made_up.yaml"))


def sample(id: str = "7", **row: Any) -> Sample:
    return Sample(id=id, index=0, row=row or METALS, content_hash="0")


def test_only_what_the_row_says_is_changed() -> None:
    shouted = task({"perturbation": "case", "to": "upper"}, **TEXTS)
    assert shouted.renderer.question(sample()) == "Question: WHICH METAL RUSTS WHEN IT LIES IN RAIN?\nAnswer:"
    assert shouted.renderer.reference(sample()) == shouted.unperturbed.renderer.reference(sample())
    lettered = task({"perturbation": "case", "to": "upper"}, **LETTERED).renderer.question(sample())
    assert lettered == ("Question: WHICH METAL RUSTS WHEN IT LIES IN RAIN?\nA. iron\nB. gold\nC. tin\nD. lead\nAnswer:")


def test_what_a_template_tests_is_not_changed() -> None:
    question = "{% if stem.startswith('Which') %}{{ stem }}{% endif %}{{ options | length }}"
    found = task({"perturbation": "case", "to": "upper"}, **{**TEXTS, "prompt": {"question": question}})
    assert found.renderer.question(sample()) == "WHICH METAL RUSTS WHEN IT LIES IN RAIN?4"


def test_without_perturbations_the_renderer_is_the_plain_one() -> None:
    assert not isinstance(task(**TEXTS).renderer, PerturbedRenderer)
    changed = task("typos", **TEXTS)
    assert not isinstance(changed.unperturbed.renderer, PerturbedRenderer)
    assert changed.columns == changed.unperturbed.columns


ORDERS = st.tuples(st.integers(0, 999), st.sampled_from(["shuffled", "reversed"]), st.integers(0, 3))


@pytest.mark.parametrize("sections", [LETTERED, TEXTS, SHOWN_TEXTS], ids=["lettered", "texts", "shown texts"])
@settings(derandomize=True, max_examples=12, deadline=None)
@given(drawn=ORDERS)
def test_the_gold_answer_moves_along(sections: dict[str, Any], drawn: tuple[int, str, int]) -> None:
    seed, to, right = drawn
    row = {**METALS, "right": right}
    moved = task({"perturbation": "option_order", "to": to, "seed": seed}, **sections)
    reference, plain = (each.renderer.reference(sample(**row)) for each in (moved, moved.unperturbed))
    assert isinstance(reference.target, int)
    assert sorted(reference.order) == [0, 1, 2, 3]
    assert reference.order[reference.target] == right
    question = moved.renderer.question(sample(**row))
    if sections is TEXTS:
        assert question == moved.unperturbed.renderer.question(sample(**row))
    else:
        shown = [line[3:] for line in question.splitlines()[1:5]]
        assert shown == [METALS["options"][position] for position in reference.order]
        assert shown[reference.target] == METALS["options"][right]
        assert [line[0] for line in question.splitlines()[1:5]] == ["A", "B", "C", "D"]
    if sections is LETTERED:
        assert reference.choices == plain.choices == ("A", "B", "C", "D")
    else:
        assert reference.choices[reference.target] == plain.choices[right]


def test_several_gold_answers_move_along() -> None:
    several = {**TEXTS, "choices": {"texts": "{{ options }}", "golds": "{{ [1, 3] }}"}}
    reference = task({"perturbation": "option_order", "to": "reversed"}, **several).renderer.reference(sample())
    assert reference.target == (2, 0)


def test_rate_0_asks_what_is_asked_without_it() -> None:
    names = ("typos", "case", "spacing", "option_order", {"perturbation": "wording", "to": "polite"})
    still = [{**({"perturbation": each} if isinstance(each, str) else each), "rate": 0.0} for each in names]
    prompt = {**LETTERED["prompt"], "wordings": {"polite": "Please: {{ stem }}"}}
    found = task(*still, **{**LETTERED, "prompt": prompt})
    assert found.renderer.question(sample()) == found.unperturbed.renderer.question(sample())
    reference = found.renderer.reference(sample())
    assert replace(reference, order=()) == found.unperturbed.renderer.reference(sample())


def test_a_choice_inside_the_question_stays_and_the_words_around_it_are_alike() -> None:
    row = sample(kind="elephant", other="mouse")
    typed = task({"perturbation": "typos", "rate": 1.0}, **IN_QUESTION)
    first, second = typed.renderer.questions(row)
    assert first.endswith(" elephant")
    assert second.endswith(" mouse")
    assert first.removesuffix("elephant") == second.removesuffix("mouse")
    assert first != typed.unperturbed.renderer.questions(row)[0]


def test_demonstrations_are_left_alone_unless_asked() -> None:
    shown = sample("shown")
    for asked, question in ((False, "Which metal rusts"), (True, "WHICH METAL RUSTS")):
        found = task({"perturbation": "case", "to": "upper", "demonstrations": asked}, **TEXTS)
        turn = found.renderer.demonstration(shown, reasoned=False)
        assert question in turn.question
        assert turn.answer == "iron"


def test_a_demonstration_with_its_options_reordered_says_what_is_right_then() -> None:
    entry = {"perturbation": "option_order", "to": "reversed", "demonstrations": True}
    turn = task(entry, **LETTERED).renderer.demonstration(sample(), reasoned=False)
    assert "D. iron" in turn.question
    assert turn.answer == "D"


def test_wordings() -> None:
    offered = {**TEXTS["prompt"], "wordings": {"polite": "Please: {{ stem }}", "blunt": "{{ stem }} Say it."}}
    found = task({"perturbation": "wording", "to": "polite"}, {"perturbation": "case", "to": "upper"},
                 **{**TEXTS, "prompt": offered})  # fmt: skip
    assert found.renderer.question(sample()) == "Question: Please: WHICH METAL RUSTS WHEN IT LIES IN RAIN?\nAnswer:"
    around = task({"perturbation": "wording", "around": "q_a"}, **TEXTS)
    assert around.renderer.question(sample()) == "Q: Which metal rusts when it lies in rain?\nA:"
    drawn = task("wording", **{**TEXTS, "prompt": offered}).renderer
    assert len({drawn.question(sample(str(id))) for id in range(20)}) == 2


def test_a_text_depends_on_its_sample_alone() -> None:
    samples = [sample(str(id), **METALS) for id in range(8)]
    typed = [{"perturbation": "typos", "rate": 0.6}, "option_order"]
    forward = {each.id: task(*typed, **LETTERED).renderer.question(each) for each in samples}
    backward = task(*typed, **LETTERED).renderer
    assert {each.id: backward.question(each) for each in reversed(samples)} == forward
    assert len(set(forward.values())) == 8


@pytest.mark.parametrize(
    ("perturb", "sections", "sentence"),
    [
        ("option_order", {"prompt": {"question": "{{ stem }}"}, "target": "iron"}, "has no section choices"),
        (
            "option_order",
            {**LETTERED, "prompt": {"question": "{{ stem }} {{ options | join(' ') }}"}},
            "its choices are the same for every sample",
        ),
        ("option_order", {**TEXTS, "prompt": {"question": "{{ options[0] }}?"}}, "shows the column 'options' itself"),
        (
            {"perturbation": "option_order", "demonstrations": True},
            {**LETTERED, "prompt": {**LETTERED["prompt"], "answer": "{{ 'ABCD'[right] }}"}},
            "what its demonstrations answer is written in its own template",
        ),
        ("typos", {**TEXTS, "prompt": {"question": "Say something."}}, "this task's question says nothing of it"),
        ({"perturbation": "wording", "around": "q_a"}, LETTERED, "leaves out the options"),
        ({"perturbation": "wording", "around": "lettered_choices"}, TEXTS, "shows options, and this task has none"),
        ({"perturbation": "wording", "around": "question_answer"}, TEXTS, "is the task's own"),
        ({"perturbation": "wording", "around": "q_b"}, TEXTS, "unknown prompt template 'q_b'; did you mean 'q_a'"),
    ],
)
def test_what_does_not_fit_is_refused(perturb: Any, sections: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        task(perturb, **sections).check()
