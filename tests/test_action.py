"""The GitHub action: its own steps, run as a runner would, with the files that GitHub names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from runs_for_tests import write_run

CLONE = Path(__file__).parents[1]
ACTION: dict[str, Any] = yaml.safe_load((CLONE / "action.yml").read_text())


def run_step(name: str, given: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    inputs = {key: value.get("default", "") for key, value in ACTION["inputs"].items()} | given
    (step,) = (step for step in ACTION["runs"]["steps"] if step["name"] == name)

    def filled(text: str) -> str:
        return re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: inputs[found[1]], text)

    named = {key: filled(value) for key, value in step["env"].items()}
    assert "${{" not in step["run"]  # no input is pasted into the script
    place = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    github = {"GITHUB_OUTPUT": str(folder / "output"), "GITHUB_STEP_SUMMARY": str(folder / "summary")}
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=folder, env={**os.environ, "PATH": place, "PYTHONPATH": str(CLONE), **named, **github},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.yaml").write_text("gate: own\ntasks:\n  - {task: made_up, margin: 0.03}\n")
    write_run(tmp_path / "old", [1.0, 0.0] * 200)
    write_run(tmp_path / "same", [1.0, 0.0] * 200)
    write_run(tmp_path / "bad", [0.0] * 400)
    write_run(tmp_path / "few", [1.0, 0.0] * 40)
    return tmp_path


@pytest.mark.parametrize(
    ("candidate", "strict", "code", "verdict"),
    [("same", "false", 0, "ok"), ("bad", "false", 1, "worse"), ("few", "false", 0, "inconclusive"),
     ("few", "true", 2, "inconclusive")],
)  # fmt: skip
def test_the_check_step(folder: Path, candidate: str, strict: str, code: int, verdict: str) -> None:
    given = {"baseline": "old", "candidate": candidate, "gate": "own.yaml", "strict": strict}
    ended = run_step("Check", given, folder)
    assert ended.returncode == code, ended.stderr
    assert (folder / "output").read_text() == f"verdict={verdict}\nexit-code={code}\n"
    assert f"gate own: {verdict}" in (folder / "summary").read_text()
    assert (folder / "evalharness-junit.xml").is_file()
    assert ("::error" in ended.stdout or "::warning" in ended.stdout) == (verdict != "ok")


def test_further_arguments_are_passed_on(folder: Path) -> None:
    given = {"baseline": "old", "candidate": "same", "gate": "own.yaml", "arguments": "--task nothing"}
    ended = run_step("Check", given, folder)
    assert ended.returncode == 64
    assert "declares no margin" in ended.stderr


def test_every_output_comes_from_the_step() -> None:
    for output in ACTION["outputs"].values():
        assert re.fullmatch(r"\$\{\{ steps\.check\.outputs\.[\w-]+ \}\}", output["value"])
