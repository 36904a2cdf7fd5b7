"""Workers as actors of a Ray cluster on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from run.executors.test_process import files, local, ran

pytest.importorskip("ray", reason="ray is an extra")

__all__ = ["local"]
pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


def test_actors_change_no_file(here: Path, plugin: Path, local: Any) -> None:
    ran(here, plugin, "ray", "--executor", "ray", "--workers", 2).done()
    assert files(here / "ray") == local


def test_a_request_that_kills_its_actor_is_recorded_alone(here: Path, plugin: Path) -> None:
    ran(here, plugin, "ray", "--executor", "ray", "--workers", 2, model="fake:kill=own-7").done()
    results, _ = files(here / "ray")
    assert results["counts"]["errored"] == 1
