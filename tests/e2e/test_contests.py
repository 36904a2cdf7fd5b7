"""APPS and DS-1000 from rows to table, over the sandbox itself: the rows are the examples of their task files."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.command import said
from e2e.rows import write_rows

import evalharness
from evalharness.records.folder import read_run
from evalharness.sandbox.interpreter import find_interpreter
from evalharness.tasks.task import load_task
from evalharness.types import Sample


def _rows(name: str) -> list[dict[str, Any]]:
    return [dict(row) for row in load_task(name).definition.examples]


def _right(name: str, row: dict[str, Any]) -> str:
    task = load_task(name)
    return task.right_answer(task.renderer.reference(Sample(id="0", index=0, row=row, content_hash="c")))


def _replay(folder: Path, lines: list[dict[str, Any]]) -> str:
    return f"replay:{write_rows(folder / 'said.jsonl', lines)}"


def test_apps(here: Path) -> None:
    lamps, letters, shop = _rows("apps")
    rows = [lamps, letters, shop, {**letters, "problem_id": 4, "difficulty": "competition"}]
    write_rows(here / "mirror/codeparrot/apps/default/test.jsonl", rows)
    answers = {
        "introductory/1": "input()\nprint(input())",  # right for the second of three inputs
        "introductory/2": f"```python\n{_right('apps', letters)}\n```",
        "interview/3": _right("apps", shop),
        "competition/4": "def most_frequent(word):\n    return 3",
    }
    lines = [{"id": id, "completions": [text]} for id, text in answers.items()]
    options: dict[str, Any] = {"model": _replay(here, lines), "data_dir": here / "mirror"}
    run = evalharness.evaluate("apps", output=here / "run", **options)
    assert run.results is not None
    strict, average = run.results.scores["strict_accuracy"], run.results.scores["test_case_average"]
    assert (strict.value, strict.n) == (0.5, 4)
    assert average.value == pytest.approx((1 / 3 + 1 + 1 + 1 / 3) / 4)
    of_levels = {level: scores["strict_accuracy"].value for level, scores in run.results.subsets.items()}
    assert of_levels == {"introductory": 0.5, "interview": 1.0, "competition": 0.0}
    assert run.results.verdicts == {"input_output": {"pass": 2, "fail": 2}}
    found = {line["id"]: line["repeats"][0]["verdicts"][0] for line in run.lines()}
    assert found["introductory/1"]["explanation"] == "test 1 of 3: it printed '..#..\\n', and '.###.\\n' is right"
    assert found["competition/4"]["details"]["passed"] == 1
    said("rescore", "run").done()
    again = read_run(here / "run-rescored").results
    assert again is not None
    assert again.scores["test_case_average"].value == average.value
    one = evalharness.evaluate("apps/interview", output=here / "one", **options)
    assert one.results is not None
    assert one.results.scores["strict_accuracy"].n == 1


def test_apps_with_pass_at_k_stops_at_the_first_failure(here: Path) -> None:
    lamps, *_ = _rows("apps")
    write_rows(here / "mirror/codeparrot/apps/default/test.jsonl", [lamps])
    right, wrong = _right("apps", lamps), "print('...')"
    model = _replay(here, [{"id": "introductory/1", "completions": [right] * 5 + [wrong] * 15}])
    run = evalharness.evaluate(
        "apps/introductory", protocol="samples", model=model, data_dir=here / "mirror", output=here / "run"
    )
    assert run.results is not None
    assert run.results.scores["pass@1"].value == pytest.approx(0.25)
    (line,) = run.lines()
    assert line["repeats"][-1]["verdicts"][0]["details"]["labels"] == {"fail": 1}


@pytest.fixture
def python() -> Iterator[Path]:
    """An interpreter whose packages are one of ours, where the user of a box can read it."""
    folder = Path(tempfile.mkdtemp(prefix="python-"))
    folder.chmod(0o755)
    base = find_interpreter().executable
    made = subprocess.run([base, "-m", "venv", "--without-pip", folder / "venv"], check=False, capture_output=True)
    if made.returncode:
        shutil.rmtree(folder)
        pytest.skip(f"{base} makes no virtual environments")
    version = subprocess.run(
        [base, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], check=True, capture_output=True, text=True
    )
    packages = folder / f"venv/lib/python{version.stdout.strip()}/site-packages"
    (packages / "sums_for_tests.py").write_text("def add(values):\n    return sum(values)\n")
    yield folder / "venv/bin/python"
    shutil.rmtree(folder)


def test_ds1000(here: Path, python: Path) -> None:
    rows = _rows("ds1000")
    needy = {**rows[0], "code_context": "from sums_for_tests import add\n" + rows[0]["code_context"]}
    write_rows(here / "mirror/xlangai/DS-1000/default/test.jsonl", [*rows, needy, rows[0]])
    texts = [
        _right("ds1000", rows[0]) + "\nEND SOLUTION\nIt is done.",
        "doubled = [2 * value for value in values]",  # right but for the loop that its question forbids
        "```python\n" + _right("ds1000", rows[2]) + "```\nThere.",
        _right("ds1000", rows[0]),
        "from sums_for_tests import add\nmean = add(x for x in readings if x) / len([x for x in readings if x])",
    ]
    lines = [{"id": f"Pandas/{number}", "completions": [text]} for number, text in enumerate(texts)]
    options: dict[str, Any] = {"model": _replay(here, lines), "data_dir": here / "mirror"}
    run = evalharness.evaluate("ds1000/Pandas", output=here / "run", max_errors=0.5, **options)
    assert run.results is not None
    assert run.results.verdicts == {"execution": {"pass": 2, "fail": 1, "missing_package": 1}}
    assert (run.results.scores["pass@1"].value, run.results.scores["pass@1"].n) == (0.5, 4)
    by_id = {line["id"]: line for line in run.lines()}
    tells = "Python of the boxes has no package 'sums_for_tests'; --sandbox-python names an interpreter that has it"
    assert by_id["Pandas/3"]["error"] == (
        f"ds1000/Pandas: the tests of sample Pandas/3 import sums_for_tests: {tells}."
    )
    verdict = by_id["Pandas/0"]["repeats"][0]["verdicts"][0]
    assert verdict["details"]["in_box"] is True
    assert verdict["details"]["program"] == _right("ds1000", rows[0])
    assert "not in tokens" in by_id["Pandas/1"]["repeats"][0]["verdicts"][0]["explanation"]

    run = evalharness.evaluate("ds1000/Pandas", output=here / "own", sandbox_python=python, **options)
    assert run.results is not None
    assert run.results.verdicts == {"execution": {"pass": 4, "fail": 1}}
