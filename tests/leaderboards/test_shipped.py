"""The leaderboards that are committed are what their committed baselines make."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e.command import CLONE, said

SHIPPED = sorted((CLONE / "leaderboards").glob("*.yaml"))


def test_there_is_one() -> None:
    assert SHIPPED


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_built_is_what_is_committed(path: Path) -> None:
    said("leaderboard", "build", path, "--check").done()
