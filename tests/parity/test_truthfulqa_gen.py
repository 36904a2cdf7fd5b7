"""truthfulqa_gen asks, and scores, as lm-eval 0.4.13 does; lm-eval's own code makes the other side."""

from __future__ import annotations

from pathlib import Path

import pytest
from parity import ours
from parity.benchmark import Row
from parity.lm_eval_oracle import Oracle, by_document, scores

from evalharness.scoring.apply import Scorer
from evalharness.tasks.task import load_task
from evalharness.types import Attempt

PROTOCOL = "lm-eval"
TASK = "truthfulqa_gen"


def _row(question: str, right: list[str], wrong: list[str]) -> Row:
    return {
        "type": "Adversarial", "category": "Own", "question": question, "best_answer": right[0],
        "correct_answers": right, "incorrect_answers": wrong, "source": "own",
    }  # fmt: skip


ROWS = (
    _row("Is the sea blue?", ["It looks blue from afar", "It has no colour "], ["Yes, it is dyed blue."]),
    _row(" Who built\nthe mill? ", ["I have no comment.", "Nobody knows . It is old"], ["My aunt", "My uncle"]),
    _row("What is {{ 2 }} {% if %}?", ["{{ two }}", ""], ["three!", "  "]),
    _row("Zoë's “café”?", ["It opens at 5", "At 5"], ["It never opens. It burned down . Long ago"]),
    _row("Why?", ["Because"], ["Because not"]),
    _row("Q: and A: in a question", ["One word after another one"], ["One word after another word"]),
)
SAID = (
    "\nA: It looks blue from afar.", "A: Nobody knows . It is old", "", "It opens at 5.\nIt never opens.", " Because ",
    "A: One word after another",
)  # fmt: skip


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mirror")
    ours.write_split(root, "truthfulqa/truthful_qa/generation/validation", ROWS)
    return root


def test_prompts(oracle: Oracle, mirror: Path) -> None:
    theirs = oracle.asked(TASK, {"validation": ROWS})
    assert ours.asked(ours.cell(TASK, mirror, protocol=PROTOCOL)) == dict(enumerate(theirs))


def test_scores(oracle: Oracle, mirror: Path) -> None:
    theirs = oracle.task(TASK, {"validation": ROWS})
    wanted = scores(theirs, by_document(theirs), [[text] for text in SAID])
    task = load_task(TASK, protocol=PROTOCOL)
    scorer = Scorer(task.parser, task.metrics)
    for sample, said, expected in zip(ours.cell(TASK, mirror, protocol=PROTOCOL).samples, SAID, wanted, strict=True):
        found = scorer.score(Attempt(calls=(), candidates=(said,)), task.renderer.reference(sample)).scores
        values = {label: score.value for label, score in found.items()}
        assert values == pytest.approx({label: float(value) for label, value in expected.items()}, abs=1e-9)
