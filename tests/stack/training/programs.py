"""Programs of several processes that tests start, and what their trainings have in common."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from stack.training.small_training import PATIENCE, environment
from stack.training.tiny_pretraining import log_of, losses


def program(*command: object) -> subprocess.CompletedProcess[str]:
    """One thread a process, so that several of them do not wait for one another on few processors."""
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env={**environment(), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE,
    )


def require_alike(one: Path, other: Path) -> None:
    """Two trainings of 20 steps are the same but for rounding."""
    assert len(losses(other)) == 20
    assert losses(other) == pytest.approx(losses(one), abs=1e-5)
    first, second = log_of(one), log_of(other)
    for kind in ("validation_loss", "gradient_norm", "tokens", "sequences"):
        assert [line[kind] for line in second if kind in line] == pytest.approx(
            [line[kind] for line in first if kind in line], rel=1e-4
        )
