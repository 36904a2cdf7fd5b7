"""Points are what trainings' folders and tables say; what is missing is one sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from report.trainings import evaluated, falling, logged, write_training

from evalharness.errors import DataError, UsageError
from evalharness.scaling.points import ScalingPoint
from evalharness.scaling.reading import ModelSize, Reading, read_points

OPTIONS = {"steps": 100, "data": {"context": 256}}


def size_of(model: Mapping[str, Any], context: int) -> ModelSize:
    assert model == {"width": 64}
    return ModelSize(parameters=1000, non_embedding=600, operations=30 * context)


def points(*sources: Path, **how: str) -> list[ScalingPoint]:
    return read_points(sources, size_of, Reading(**how))  # type: ignore[arg-type]


def test_a_training_is_a_point(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "small", falling(5, 100), [evaluated(50), evaluated(100, value=0.7)], OPTIONS)
    (point,) = points(folder)
    assert (point.name, point.parameters, point.tokens, point.compute) == ("small", 1000, 409_600, 6 * 1000 * 409_600)
    assert point.loss == pytest.approx(1.0 + 4.0 * math.exp(-100 / 120) + 0.05)
    assert len(point.curve) == 20
    assert point.curve[-1][0] == 409_600
    score = point.scores["coin_flip", "exact_match"]
    assert (score.value, score.samples, score.chance) == (0.7, 100, 0.5)


def test_what_counts_is_chosen(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "small", falling(5, 100), options=OPTIONS)
    (point,) = points(folder, parameters="non-embedding", operations="recorded", loss="training")
    assert (point.parameters, point.compute) == (600, 30 * 256 * 409_600)
    assert point.loss == pytest.approx(1.0 + 4.0 * math.exp(-100 / 120) + 0.1 * math.sin(100))


def test_operations_are_those_that_the_training_wrote_down(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "small", falling(5, 100), options=OPTIONS)
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**run, "operations_per_token": 5000}))
    (point,) = points(folder, operations="recorded")
    assert point.compute == 5000 * 409_600


def test_operations_that_nothing_tells(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "pairs", falling(5, 100), options=OPTIONS)
    size = ModelSize(parameters=1000, non_embedding=600, operations=None)
    assert read_points([folder], lambda model, context: size, Reading())[0].compute == 6 * 1000 * 409_600
    with pytest.raises(DataError, match=r"does not say how many operations a token took; take --operations 6nd\."):
        read_points([folder], lambda model, context: size, Reading(operations="recorded"))


def test_no_validation_at_the_end(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "none", [logged(100, 3.0)], options=OPTIONS)
    with pytest.raises(DataError, match=r"none: no validation loss at its end; .* --loss training\."):
        points(folder)
    (point,) = points(folder, loss="training")
    assert point.loss == 3.0
    early = [{"step": 50, "validation_loss": 3.0}, logged(100, 2.9)]
    with pytest.raises(DataError, match="no validation loss at its end"):
        points(write_training(tmp_path / "early", early, options=OPTIONS))


def test_a_training_that_is_not_done(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "half", falling(5, 100), options={**OPTIONS, "steps": 200})
    with pytest.raises(DataError, match=r"half: at step 100 of 200, before its schedule ends; train it to its end"):
        points(folder)


@pytest.mark.parametrize("loss", ["validation", "training"])
def test_a_training_that_diverged(tmp_path: Path, loss: str) -> None:
    log = [logged(50, 3.0), logged(100, math.nan), {"step": 100, "validation_loss": math.nan}]
    folder = write_training(tmp_path / "diverged", log, options=OPTIONS)
    with pytest.raises(DataError, match=r"diverged: its loss is nan: the training diverged; leave it out\."):
        points(folder, loss=loss)


def test_a_training_without_a_model(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "small", falling(5, 100), options=OPTIONS)
    (folder / "run.json").write_text("{}")
    with pytest.raises(DataError, match=r"its run\.json does not say the model and the context"):
        points(folder)


def test_what_is_no_training(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"neither the folder of a training .* nor a table \(\.csv, \.jsonl\)\."):
        points(tmp_path)
    table = tmp_path / "points.csv"
    table.write_text("parameters,tokens,loss\n1e6,2e7,3.5\n")
    with pytest.raises(UsageError, match="given twice"):
        points(table, table)


ROW = {"name": "a", "parameters": 1e6, "non_embedding_parameters": 8e5, "tokens": 2e7, "compute": 2e14, "loss": 3.5}


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_table(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"points.{kind}"
    lines = [",".join(ROW), ",".join(map(str, ROW.values()))] if kind == "csv" else [json.dumps(ROW)]
    path.write_text("\n".join([*lines, ""]))
    (point,) = points(path)
    assert (point.name, point.parameters, point.compute, point.loss) == ("a", 1e6, 6 * 1e6 * 2e7, 3.5)
    (point,) = points(path, parameters="non-embedding", operations="recorded")
    assert (point.parameters, point.compute) == (8e5, 2e14)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("parameters,tokens\n1,2\n", r"points\.csv, line 2: no loss; the columns are parameters, tokens, loss"),
        ("parameters,tokens,loss\n1,2,\n", "line 2: no loss"),
        ("parameters,tokens,loss\n1e6,many,3\n", r"line 2: tokens is 'many', which is no number\."),
        ("parameters,tokens,loss\n1e6,1e7,nan\n", r"points\.csv:2: its loss is nan: the training diverged"),
        ("parameters,tokens,loss\n1e6,-1,3\n", r"tokens is -1\.0; it must be a number above 0"),
        ("parameters,tokens,loss\n", "no row; give one a training"),
    ],
)
def test_a_wrong_table(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "points.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        points(path)


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: cannot be read: No such file or directory\."):
        points(tmp_path / "none.csv")


def test_a_line_that_is_no_object(tmp_path: Path) -> None:
    path = tmp_path / "points.jsonl"
    path.write_text('{"parameters": 1e6, "tokens": 1e7, "loss": 3}\n[1]\n')
    with pytest.raises(DataError, match=r"line 2: no JSON object\."):
        points(path)
