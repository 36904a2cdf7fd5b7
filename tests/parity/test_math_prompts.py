"""Our mathematics tasks ask what lm-eval 0.4.13 asks, byte for byte; lm-eval's own code makes the other side."""

from __future__ import annotations

from pathlib import Path

import pytest
from parity import ours
from parity.lm_eval_oracle import Oracle, Rows
from parity.rows_math import ASDIV, MATH, MATH_500, MATH_POOL

SUBJECTS = {
    "algebra": "algebra",
    "counting_and_probability": "counting_and_prob",
    "geometry": "geometry",
    "intermediate_algebra": "intermediate_algebra",
    "number_theory": "num_theory",
    "prealgebra": "prealgebra",
    "precalculus": "precalc",
}
"""The data set's configurations, and lm-eval's names of its tasks."""


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mirror")
    for subject in SUBJECTS:
        ours.write_split(root, f"EleutherAI/hendrycks_math/{subject}/test", MATH)
        ours.write_split(root, f"EleutherAI/hendrycks_math/{subject}/train", MATH_POOL)
    ours.write_split(root, "HuggingFaceH4/MATH-500/default/test", MATH_500)
    ours.write_split(root, "EleutherAI/asdiv/default/validation", ASDIV)
    return root


def _splits(rows: Rows) -> dict[str, Rows]:
    return {"train": MATH_POOL, "validation": rows, "test": rows}


@pytest.mark.parametrize(
    ("task", "theirs", "rows", "shots"),
    [
        *(
            (f"hendrycks_math/{subject}", f"hendrycks_math_{named}", MATH, shots)
            for subject, named in SUBJECTS.items()
            for shots in (None, 5)
        ),
        *(
            (f"minerva_math/{subject}", f"minerva_math_{named}", MATH, shots)
            for subject, named in SUBJECTS.items()
            for shots in (None, 1)
        ),
        ("math_500", "minerva_math500", MATH_500, None),
        ("math_500", "minerva_math500", MATH_500, 2),
        *(("asdiv", "asdiv", ASDIV, shots) for shots in (None, 1, 3)),
    ],
)
def test_own_rows(task: str, theirs: str, rows: Rows, shots: int | None, oracle: Oracle, mirror: Path) -> None:
    asked = oracle.asked(_known(theirs, oracle), _splits(rows), shots)
    assert len(asked) == 6
    assert ours.asked(ours.cell(task, mirror, protocol="lm-eval", shots=shots)) == dict(enumerate(asked))


def _known(name: str, oracle: Oracle) -> str:
    """hendrycks_math's tasks go by the full names of the subjects."""
    full = {named: subject for subject, named in SUBJECTS.items()}
    if name in oracle.names(name):
        return name
    return f"hendrycks_math_{full[name.removeprefix('hendrycks_math_')]}"


@pytest.mark.parametrize(
    ("task", "theirs", "place", "split"),
    [
        ("hendrycks_math/prealgebra", "hendrycks_math_prealgebra", "EleutherAI/hendrycks_math/prealgebra", "test"),
        ("minerva_math/geometry", "minerva_math_geometry", "EleutherAI/hendrycks_math/geometry", "test"),
        ("math_500", "minerva_math500", "HuggingFaceH4/MATH-500/default", "test"),
        ("asdiv", "asdiv", "EleutherAI/asdiv/default", "validation"),
    ],
)
def test_real_rows(task: str, theirs: str, place: str, split: str, oracle: Oracle, real_mirror: Path) -> None:
    rows = ours.read_split(real_mirror, f"{place}/{split}")[:60]
    cell = ours.cell(task, real_mirror, protocol="lm-eval", limit=len(rows))
    asked = oracle.asked(theirs, _splits(rows))
    assert [ours.asked_of(cell, sample) for sample in cell.samples] == asked
