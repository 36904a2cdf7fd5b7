"""The points of Hoffmann et al. 2022, as Besiroglu et al. 2024 (arXiv 2404.10102) read them off a figure.

The points are not part of this project. `EVALHARNESS_CHINCHILLA_POINTS` names their file, ``svg_extracted_data.csv`` of
epoch-research/analyzing-chinchilla.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from evalharness.scaling.known import FORMS
from evalharness.scaling.points import Logs, ScalingPoint
from evalharness.scaling.robust import fit


def published() -> list[ScalingPoint]:
    path = os.environ.get("EVALHARNESS_CHINCHILLA_POINTS")
    if not path:
        pytest.skip("EVALHARNESS_CHINCHILLA_POINTS names no file with the published points")
    found = []
    with Path(path).open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            if row["loss"]:
                size, compute = float(row["Model Size"]), float(row["Training FLOP"])
                found.append(
                    ScalingPoint(
                        name=str(number),
                        parameters=size,
                        tokens=compute / 6 / size,
                        compute=compute,
                        loss=float(row["loss"]),
                    )
                )
    return found


def test_the_corrected_parameters_of_chinchilla_are_found() -> None:
    """Without the five highest losses, as they did: A 482.01, B 2085.43, E 1.8169, alpha 0.3478, beta 0.3659, with
    standard errors of 124.5, 1293.3, 0.026, 0.015 and 0.021; and at least as good an objective as theirs."""
    points = published()
    assert len(points) == 245
    found = fit(FORMS["chinchilla"], Logs.of(sorted(points, key=lambda point: point.loss)[:-5]))
    assert found.objective <= 1.0183e-3
    assert found.parameters == pytest.approx(
        {"E": 1.8172, "A": 477.8, "B": 2143.4, "alpha": 0.3473, "beta": 0.3672}, rel=1e-3
    )
    for name, value, error in (("E", 1.8169, 0.026), ("alpha", 0.3478, 0.015), ("beta", 0.3659, 0.021)):
        assert abs(found.parameters[name] - value) < error / 4
