"""One oracle for the whole session, and the mirror of real data where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from parity.lm_eval_oracle import Oracle, shared_oracle


@pytest.fixture(scope="session")
def oracle() -> Oracle:
    return shared_oracle()


@pytest.fixture(scope="session")
def real_mirror() -> Path:
    """The folder ``mirror/`` that EVALHARNESS_DATA names."""
    named = os.environ.get("EVALHARNESS_DATA")
    if not named:
        pytest.skip("needs EVALHARNESS_DATA: a mirror of the real benchmarks")
    folder = Path(named)
    return folder / "mirror" if (folder / "mirror").is_dir() else folder
