"""ifeval and cnn_dailymail ask, and score, as lm-eval 0.4.13 does; lm-eval's own code makes the other side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from parity import ours
from parity.ifeval_oracle import their_verifiers
from parity.lm_eval_oracle import Oracle, by_document, scores
from parity.rows_generation import CNN, IFEVAL

from evalharness.answers.base import build_parser
from evalharness.scoring.apply import Scorer
from evalharness.tasks.task import load_task
from evalharness.types import Attempt

PROTOCOL = "lm-eval"


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mirror")
    ours.write_split(root, "google/IFEval/default/train", IFEVAL)
    ours.write_split(root, "abisee/cnn_dailymail/3.0.0/test", CNN)
    return root


@pytest.fixture(scope="module")
def verifiers() -> Iterator[Any]:
    with their_verifiers() as module:
        yield module


def test_ifeval_asks_the_prompt_alone(oracle: Oracle, verifiers: Any, mirror: Path) -> None:
    theirs = oracle.asked("ifeval", {"train": IFEVAL})
    assert ours.asked(ours.cell("ifeval", mirror, protocol=PROTOCOL)) == dict(enumerate(theirs))


def test_cnn_dailymail(oracle: Oracle, mirror: Path) -> None:
    theirs = oracle.asked("cnn_dailymail_abisee", {"test": CNN})
    assert ours.asked(ours.cell("cnn_dailymail", mirror, protocol=PROTOCOL)) == dict(enumerate(theirs))


SAID = ("Sure:\n\nno commas\n", "one, two", "  ", '"quoted"', "**bold, text**\nand more", "no")


def test_ifeval_scores_the_raw_response(oracle: Oracle, verifiers: Any, mirror: Path) -> None:
    task = oracle.task("ifeval", {"train": IFEVAL})
    theirs = scores(task, by_document(task), [[text] for text in SAID])
    for sample, said, wanted in zip(ours.cell("ifeval", mirror, protocol=PROTOCOL).samples, SAID, theirs, strict=True):
        found = scored("ifeval", sample, said)
        assert found == {
            name: float(value[0]) if isinstance(value, list) else float(value) for name, value in wanted.items()
        }


def test_cnn_dailymail_scores_as_theirs(oracle: Oracle, mirror: Path) -> None:
    """Without their BERTScore, which is 0 where its package is missing."""
    said = [row["highlights"].replace("Ferry", "A ferry")[:20] for row in CNN]
    task = oracle.task("cnn_dailymail_abisee", {"test": CNN})
    theirs = scores(task, by_document(task), [[text] for text in said])
    cell = ours.cell("cnn_dailymail", mirror, protocol=PROTOCOL)
    for sample, text, wanted in zip(cell.samples, said, theirs, strict=True):
        found = scored("cnn_dailymail", sample, text)
        assert found == pytest.approx({name: wanted[name] for name in ("rouge1", "rouge2", "rougeL")})


def scored(name: str, sample: Any, said: str) -> dict[str, float]:
    task = load_task(name, protocol=PROTOCOL)
    scorer = Scorer(build_parser(task.definition.answer or "text", "test"), task.metrics)
    found = scorer.score(Attempt(calls=(), candidates=(said,)), task.renderer.reference(sample)).scores
    return {label: score.value for label, score in found.items()}
