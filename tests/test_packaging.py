"""The built wheel, installed away from the clone, carries its tasks and runs one."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CLONE = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("wheel")
    isolation = ["--no-isolation"] if importlib.util.find_spec("hatchling") else []
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", *isolation, "--outdir", str(folder), str(CLONE)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if not isolation and ("No matching distribution" in built.stdout or "Connection" in built.stdout):
        pytest.skip("hatchling is not installed and no package index can be reached")
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(target), str(wheel)],
        check=True,
    )
    return target


def test_every_task_and_template_is_in_the_wheel(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("tasks", "prompts"):
        files = [path for path in (CLONE / folder).rglob("*") if path.is_file() and not path.name.startswith(".")]
        assert files
        for path in files:
            assert f"evalharness/_shipped/{path.relative_to(CLONE).as_posix()}" in inside
    assert "evalharness/data/bundled/gsm8k_demo.jsonl" in inside
    assert not [name for name in inside if name.startswith(("tests/", "tasks/", "benchmarks/"))]


def test_a_task_of_the_wheel_runs_away_from_the_clone(installed: Path, tmp_path: Path) -> None:
    rows = (installed / "evalharness/data/bundled/gsm8k_demo.jsonl").read_text(encoding="utf-8").splitlines()[5:]
    gold = [{"index": index, "completions": [json.loads(row)["answer"]]} for index, row in enumerate(rows)]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(line) + "\n" for line in gold))
    kept = {key: value for key, value in os.environ.items() if key not in ("EVALHARNESS_DATA", "PYTHONPATH")}
    # The user's site-packages and an editable installation of the clone come after what PYTHONPATH names.
    environment = kept | {"PYTHONPATH": str(installed), "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run(
        [sys.executable, "-m", "evalharness", "run", "--task", "gsm8k", "--allow-demo", "--model", "replay:gold.jsonl",
         "--output", "run", "--json"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    (results,) = json.loads(ended.stdout)
    assert results["task"] == "gsm8k_demo"
    assert results["scores"]["exact_match"]["value"] == 1.0
    record = json.loads((tmp_path / "run/run.json").read_text(encoding="utf-8"))
    assert Path(record["task_source"]).is_relative_to(installed)
    assert record["environment"]["git"] is None
