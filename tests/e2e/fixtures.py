"""A folder to run in, with a mirror of rows that we wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e.fake import plugin_folder
from e2e.rows import write_mirror


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mirror(tmp_path_factory.mktemp("mirror"))


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """On the path of a process this makes ``--model fake:`` known."""
    return plugin_folder(tmp_path_factory.mktemp("plugin"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs, and its runs lie."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVALHARNESS_DATA", str(mirror))
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """``--model fake:`` is known in this process."""
    from evalharness import registry

    monkeypatch.setitem(registry._BUILTIN["backend"], "fake", "e2e.fake:load")
