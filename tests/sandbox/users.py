"""Running a script of these tests as another user, who sees no more of the project than what sandboxes need."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from evalharness.sandbox.interpreter import NOBODY, find_interpreter

PROJECT = Path(__file__).parents[2]


def users() -> list[str]:
    """Who the boxes are made by: root and nobody where these tests run as root, else whoever runs them."""
    return ["root", "nobody"] if os.geteuid() == 0 else ["user"]


@contextmanager
def readable_copy() -> Iterator[Path]:
    """A folder that every user can read, with what sandboxes need of the package. (pytest's own folders are closed.)"""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        (folder / "evalharness").mkdir()
        for name in ("__init__.py", "errors.py"):
            shutil.copy(PROJECT / "evalharness" / name, folder / "evalharness" / name)
        shutil.copytree(PROJECT / "evalharness" / "sandbox", folder / "evalharness" / "sandbox")
        yield folder


def run_as(user: str, script: Path, *arguments: str, folder: Path) -> Any:
    """The JSON that a script prints."""
    python = find_interpreter()
    if tuple(map(int, python.version.split(".")[:2])) < (3, 11):
        pytest.skip(f"the Python that every user can run is {python.version}, and 3.11 is needed")
    shutil.copy(script, folder / script.name)
    drop: dict[str, Any] = {}
    if user == "nobody":
        drop = {"user": NOBODY, "group": NOBODY, "extra_groups": ()}
    ended = subprocess.run(
        [python.executable, "-s", "-S", str(folder / script.name), *arguments],
        capture_output=True,
        text=True,
        cwd="/",
        timeout=280,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)},
        **drop,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads(ended.stdout)
