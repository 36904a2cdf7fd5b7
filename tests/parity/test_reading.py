"""drop and coqa ask, and score, as lm-eval 0.4.13 does; lm-eval's own code makes the other side.

lm-eval's coqa compares two texts by a module that transformers no longer has; `squad_metrics` stands in for it.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from parity import ours
from parity.benchmark import Row
from parity.lm_eval_oracle import Oracle, by_document, scores

from evalharness.prompting.reading_filters import drop_answers
from evalharness.scoring.apply import Scorer
from evalharness.scoring.match import token_f1, words_of
from evalharness.scoring.spans import DropF1
from evalharness.tasks.task import load_task
from evalharness.types import Attempt, Parsed, Reference

PROTOCOL = "lm-eval"
NO_DATE = {"day": "", "month": "", "year": ""}


def _drop(number: int, passage: str, question: str, *answers: Row) -> Row:
    filled = [{"number": "", "date": NO_DATE, "spans": [], **each} for each in answers]
    validated = {key: [each[key] for each in filled[1:]] for key in ("number", "date", "spans")}
    return {
        "query_id": str(number), "passage": passage, "question": question, "answer": filled[0],
        "validated_answers": validated,
    }  # fmt: skip


DROP = (
    _drop(0, "12 sails.  ", "How many?", {"number": "12"}, {"number": "12.0"}, {"spans": ["twelve"]}),
    _drop(1, "Ann, Bo\nand Cy", "Who {{ won }}?", {"spans": ["Ann", "the Bo"]}, {"spans": ["Ann"]}),
    _drop(2, "On 3 May.", "When?", {"date": {"day": "3", "month": "May", "year": "1911"}}, {"spans": ["May"]}),
    _drop(3, "A well-known “café”", "Which?", {"spans": ["well-known café"]}, {"spans": ["A café"]}),
    _drop(4, "It grew by 2.5%", "By how much?", {"number": "2.5"}, {"spans": ["2.5%", "two"]}),
    _drop(5, "Nothing", "What?", {"spans": ["the"]}, {"spans": ["a b-c 1,000"]}),
)


def _coqa(story: str, questions: list[str], answers: list[str], *others: list[str]) -> Row:
    return {
        "id": story,
        "story": story,
        "questions": {"input_text": questions},
        "answers": {"input_text": answers},
        "additional_answers": {str(n): {"input_text": list(each)} for n, each in enumerate(others)},
    }


COQA = (
    _coqa("The mill burned.", ["What burned?", " When? "], ["The mill", "in May"], ["a mill", "May"], ["it", "In May"]),
    _coqa("Ann keeps\nbees. ", ["What?"], ["Bees"], ["bees"], ["Bees"]),
    _coqa(
        "A {{ lake }} froze", ["Sail?", "Why?", "Sure?"], ["No", "Ice", "Yes"], ["no", "ice", "It did."], ["n", "", ""]
    ),
    _coqa("“Zoë”", ["Who?"], ["Zoë!"], ["The girl"], ["A girl, Zoë"]),
    _coqa("One", ["Q: in a question"], ["the"], ["an"], [""]),
    _coqa("Two", ["a?", "b?"], ["1", "2"], ["one", "two"], ["1", "two apples"]),
)
SAID = ("12 sails", "in  May\n\nA: no", "", "the ann and Bo", "A well known café, 2.5", "Zoë girl.")


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mirror")
    ours.write_split(root, "EleutherAI/drop/default/validation", DROP)
    ours.write_split(root, "EleutherAI/coqa/default/validation", COQA)
    return root


@pytest.fixture(scope="module", autouse=True)
def squad_metrics() -> Iterator[None]:
    """SQuAD's exact match and F1 of two texts, under the name by which lm-eval imports them."""
    names = ("transformers.data.metrics", "transformers.data.metrics.squad_metrics")
    package, module = (ModuleType(name) for name in names)
    module.compute_exact = lambda right, said: int(words_of(right) == words_of(said))  # type: ignore[attr-defined]
    module.compute_f1 = lambda right, said: token_f1(words_of(said), words_of(right))  # type: ignore[attr-defined]
    package.squad_metrics = module  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patched:
        for name, each in zip(names, (package, module), strict=True):
            patched.setitem(sys.modules, name, each)
        yield


@pytest.mark.parametrize(("name", "rows"), [("drop", DROP), ("coqa", COQA)])
def test_prompts(name: str, rows: tuple[Row, ...], oracle: Oracle, mirror: Path) -> None:
    theirs = [
        replace(asked, generation={**(asked.generation or {}), "temperature": 0.0})  # which they leave to the model
        for asked in oracle.asked(name, {"train": rows, "validation": rows})
    ]
    assert ours.asked(ours.cell(name, mirror, protocol=PROTOCOL)) == dict(enumerate(theirs))


@pytest.mark.parametrize("shift", range(3))
@pytest.mark.parametrize(("name", "rows"), [("drop", DROP), ("coqa", COQA)])
def test_scores(name: str, rows: tuple[Row, ...], shift: int, oracle: Oracle, mirror: Path) -> None:
    said = [*SAID[shift:], *SAID[:shift]]
    theirs = oracle.task(name, {"train": rows, "validation": rows})
    wanted = scores(theirs, by_document(theirs), [[text] for text in said])
    task = load_task(name, protocol=PROTOCOL)
    scorer = Scorer(task.parser, task.metrics)
    for sample, text, expected in zip(ours.cell(name, mirror, protocol=PROTOCOL).samples, said, wanted, strict=True):
        found = scorer.score(Attempt(calls=(), candidates=(text,)), task.renderer.reference(sample)).scores
        assert {label: score.value for label, score in found.items()} == pytest.approx(expected), (sample.row, text)


def test_drops_f1_on_random_spans() -> None:
    from lm_eval.tasks.drop import utils

    rng, pieces = (
        random.Random(5),
        ["a", "the", "mill", "mill's", "12", "12.0", "3", "May-June", "café", "1,000", "x.", ""],
    )

    def spans() -> list[str]:
        return [" ".join(rng.choices(pieces, k=rng.randint(1, 3))) for _ in range(rng.randint(1, 3))]

    for _ in range(300):
        said, right = spans(), spans()
        reference = Reference(facts={"golds": [right]})
        exact, f1 = utils.get_metrics(said, tuple(right))
        joined = Parsed("|".join(said))
        worth = [DropF1(exact=each, separator="|") for each in (True, False)]
        found = [metric.score(Attempt(calls=()), reference, joined, None).value for metric in worth]
        whole = utils.get_metrics(["|".join(said)], tuple(right))
        if all(span.strip() for span in said):
            assert found == [max(exact, whole[0]), pytest.approx(max(f1, whole[1]))]


def test_the_answers_of_a_question_are_theirs() -> None:
    from lm_eval.tasks.drop import utils

    for row in DROP:
        theirs = [list(answer) for answer in utils.get_answers(row) if answer[0].strip()]
        assert drop_answers(row["answer"], row["validated_answers"]) == theirs
