from __future__ import annotations

from collections.abc import Iterator

import pytest

from evalharness.sandbox.choose import choose
from evalharness.sandbox.pool import Pool


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """The sandbox itself, at the best level that works here."""
    boxes = Pool(choose(), workers=2)
    yield boxes
    boxes.close()
