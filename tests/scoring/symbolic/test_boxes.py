"""The last box of a worked solution."""

from __future__ import annotations

import pytest

from evalharness.scoring.symbolic.boxes import last_box


@pytest.mark.parametrize(
    ("solution", "box"),
    [
        (r"First $\boxed{1}$, then $\boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
        (r"It is $\boxed 7$ and so on", "7"),
        (r"never closed: \boxed{1", None),
        (r"\boxed", None),
        ("no box", None),
    ],
)
def test_last_box(solution: str, box: str | None) -> None:
    assert last_box(solution) == box
