"""Our code tasks ask what lm-eval 0.4.13 asks, byte for byte; lm-eval's own code makes the other side."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from parity import ours
from parity.lm_eval_oracle import Oracle
from parity.rows_code import HUMANEVAL, MBPP

from evalharness.errors import UsageError

HUMANEVAL_PLACE, MBPP_PLACE = "openai/openai_humaneval/default", "google-research-datasets/mbpp/full"


def their_demonstrations() -> list[dict[str, Any]]:
    """The three rows that lm-eval carries in its code: task ids 2, 3 and 4."""
    import evaluate

    with mock.patch.object(evaluate, "load"):
        from lm_eval.tasks.mbpp.utils import list_fewshot_samples

    return [{key: value for key, value in row.items() if key != "is_fewshot"} for row in list_fewshot_samples()]


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our rows, and lm-eval's demonstrations where the data set has them: at positions 1, 2 and 3 of its split."""
    root = tmp_path_factory.mktemp("mirror")
    ours.write_split(root, f"{HUMANEVAL_PLACE}/test", HUMANEVAL)
    ours.write_split(root, f"{MBPP_PLACE}/test", MBPP)
    filled = [{**MBPP[0], **row} for row in their_demonstrations()]
    ours.write_split(root, f"{MBPP_PLACE}/prompt", [MBPP[1], *filled, MBPP[0]])
    return root


@pytest.mark.parametrize(
    ("protocol", "theirs"), [("default", "humaneval"), ("lm-eval", "humaneval"), ("lm-eval-64", "humaneval_64")]
)
def test_humaneval(protocol: str, theirs: str, oracle: Oracle, mirror: Path) -> None:
    asked = oracle.asked(theirs, {"test": HUMANEVAL})
    assert ours.asked(ours.cell("humaneval", mirror, protocol=protocol)) == dict(enumerate(asked))


def test_the_64_repeats_are_drawn_and_reduced_as_theirs(oracle: Oracle, mirror: Path) -> None:
    theirs = oracle.task("humaneval_64", {"test": HUMANEVAL}).config
    definition = ours.cell("humaneval", mirror, protocol="lm-eval-64").task.definition
    assert definition.repeats == theirs.repeats
    (metric,) = theirs.metric_list
    assert [each["reducer"] for each in definition.metrics if isinstance(each, dict)] == [
        f"pass@{k}" for k in metric["k"]
    ]


@pytest.mark.parametrize("shots", [None, 0, 1, 3])
def test_mbpp(shots: int | None, oracle: Oracle, mirror: Path) -> None:
    asked = oracle.asked("mbpp", {"test": MBPP}, shots)
    assert ours.asked(ours.cell("mbpp", mirror, protocol="lm-eval", shots=shots)) == dict(enumerate(asked))


def test_mbpp_has_three_demonstrations_and_no_more(mirror: Path) -> None:
    with pytest.raises(UsageError, match="positions names 3; ask for --shots 3 at most"):
        ours.cell("mbpp", mirror, protocol="lm-eval", shots=4)


@pytest.mark.parametrize(
    ("task", "theirs", "rows"), [("humaneval", "humaneval_instruct", HUMANEVAL), ("mbpp", "mbpp_instruct", MBPP)]
)
def test_instruct_asks_what_they_ask_before_they_begin_the_answer(
    task: str, theirs: str, rows: tuple[dict[str, Any], ...], oracle: Oracle, mirror: Path
) -> None:
    config = oracle.task(theirs, {"test": rows}).config
    asked = oracle.asked(theirs, {"test": rows})
    own = ours.asked(ours.cell(task, mirror, protocol="instruct"))
    for index, (each, row) in enumerate(zip(asked, rows, strict=True)):
        begun = config.gen_prefix.replace("{{ prompt }}", str(row.get("prompt")))
        assert own[index].context + begun == each.context  # type: ignore[operator]


def test_real_humaneval(oracle: Oracle, real_mirror: Path) -> None:
    rows = ours.read_split(real_mirror, f"{HUMANEVAL_PLACE}/test")
    assert len(rows) == 164
    asked = oracle.asked("humaneval", {"test": rows})
    assert ours.asked(ours.cell("humaneval", real_mirror, protocol="lm-eval")) == dict(enumerate(asked))


def test_real_mbpp_with_the_demonstrations_of_its_own_split(oracle: Oracle, real_mirror: Path) -> None:
    cell = ours.cell("mbpp", real_mirror, protocol="lm-eval")
    asked = oracle.asked("mbpp", {"test": [dict(sample.row) for sample in cell.samples]})
    assert list(ours.asked(cell).values()) == asked
    assert len(asked) == 250
