"""docs/kernels.md and its plots are what the committed measurements say, and name every op."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from e2e.command import CLONE

from evalharness.stack.kernels.table import OPS


@pytest.fixture(scope="module")
def page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kernels_page", CLONE / "benchmarks/kernels/page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_was_measured(page: ModuleType) -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.BEGIN in text
    assert page.renewed(text, page.results()) == text, "write it anew with python benchmarks/kernels/page.py"


def test_the_plots_are_what_was_measured(page: ModuleType) -> None:
    found = page.results()
    for kind, path in page.PLOTS.items():
        assert path.exists() == (kind in found)
        if kind in found:
            assert path.read_text(encoding="utf-8") == page.plot(kind, found[kind])


def test_every_op_is_named_and_has_a_row(page: ModuleType) -> None:
    text = page.PAGE.read_text(encoding="utf-8").partition(page.BEGIN)[0]
    assert [op for op in OPS if f"`{op}`" not in text] == []
    assert set(page.ROWS) == set(OPS)


def test_every_op_has_a_script_that_measures_it(page: ModuleType) -> None:
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in page.FOLDER.glob("*.py") if path.stem != "page")
    assert [op for op in OPS if not re.search(rf'"{op}[",]', scripts)] == []


@pytest.mark.long
def test_all_scripts_end_well(tmp_path: Path) -> None:
    """On tiny shapes, in fp32 and bf16."""
    output = tmp_path / "cpu.json"
    command = [sys.executable, str(CLONE / "benchmarks/kernels/all.py"), "--device", "cpu", "--small", "--threads", "1"]
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    ended = subprocess.run([*command, "--output", str(output)], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads(output.read_text(encoding="utf-8"))["lines"]
    assert {line["op"].partition(",")[0] for line in found} == {*OPS, "exact"}
    assert {line["dtype"] for line in found} == {"float32", "bfloat16"}


# --------------------------------------------------------------------------- what is written of measurements


def line(op: str, times: float, dtype: str = "float32", **more: Any) -> dict[str, Any]:
    milliseconds = {"plain": 2.0, "dispatched": 2.0 * times}
    return {
        "op": op, "passes": "forward", "dtype": dtype, "case": "a line", "shape": {"rows": 3},
        "milliseconds": milliseconds, "times_plain": {"dispatched": times}, **more,
    }  # fmt: skip


def measured(*lines: dict[str, Any]) -> dict[str, Any]:
    ceilings = {"float32": {"copy_bytes_a_second": 2e10, "product_operations_a_second": 1e11}}
    return {
        "device": "a processor", "date": "2026-01-01", "torch": "2.9", "threads": 2, "load": 0.1, "failed": {},
        "ceilings": ceilings, "lines": list(lines),
    }  # fmt: skip


def row(text: str, op: str) -> list[str]:
    found = next(line for line in text.splitlines() if line.startswith(f"| `{op}` |"))
    return [cell.strip() for cell in found.split("|")[3:-1]]


def test_what_was_not_measured_is_owed(page: ModuleType) -> None:
    text = page.section({"cpu": measured(line("rope", 0.5), line("rope, partial", 0.9))})
    assert row(text, "rope") == ["0.70 (0.50 to 0.90)", "owed", "85 % of a copy", "owed", "owed"]
    assert row(text, "glu")[:2] == ["owed", "owed"]
    assert "2 of 2 measurements are at most 10 % slower" in text
    assert "| GPU | training | owed | owed | owed |  |" in text
    assert "| GPU | decoding | owed | owed | owed | owed |" in text


def test_what_is_slower_is_shown(page: ModuleType) -> None:
    """But not a price that is paid for something."""
    text = page.section({"cpu": measured(line("rope", 1.2, "bfloat16"), line("exact_linear", 1.9))})
    assert row(text, "rope")[:2] == ["owed", "**1.20**"]
    assert row(text, "exact_linear")[0] == "1.90"
    assert "0 of 1 measurements" in text
    assert "| rope | forward | bf16 | a line: rows 3 | 2.4 ms | 2 ms | 1.20 |" in text
    assert "bf16, forward" in page.plot("cpu", measured(line("rope", 1.2, "bfloat16")))


def test_the_price_of_exact_and_works_end_to_end(page: ModuleType) -> None:
    price = {"op": "exact", "passes": "scores", "dtype": "float32", "milliseconds": {}, "times_fast": 1.084}
    assert "takes 1.08 (scores, fp32) times" in page.section({"cpu": measured(price)})
    whole = {**measured(), "lines": [{"work": "training", "tokens_a_second": {"reference": 1234.4, "torch": 2000.0}}]}
    text = page.section({"end_to_end-cpu": whole})
    assert "| a processor, 2026-01-01, load 0.1 | training | 1,234 | 2,000 | interpreted only |  |" in text


def test_a_gpu_fills_its_cells(page: ModuleType) -> None:
    times = {"torch": 3.0, "triton": 2.0, "liger": 2.2}
    found = {"milliseconds": times, "of_copy": {"triton": 0.9}, "times_plain": {}}
    result = measured({**line("rope", 1.0, "bfloat16"), **found})
    assert row(page.section({"cuda": result}), "rope")[3:] == ["90 % of a copy", "1.50x of torch, 1.10x of liger"]
    drawn = page.plot("cuda", result)
    assert ">of a copy</text>" in drawn
    assert ">of a product</text>" not in drawn


def build(registers: int, shared: int, **more: Any) -> dict[str, Any]:
    return {
        "op": "rope", "kernel": "_turn", "dtype": "bf16", "constants": {"HEADS": 16}, "warps": 4, "aligned": True,
        "target": "sm_90", "registers": registers, "spilled": 0, "shared": shared, **more,
    }  # fmt: skip


def test_what_compilers_make_of_kernels(page: ModuleType) -> None:
    """Blocks of 4 warps with 255 registers fill a multiprocessor by two; and two with 100 KiB of shared memory do."""
    assert "is owed" in page.section({})
    lines = [build(255, 0), build(32, 100 * 1024, spilled=8), build(32, 0, target="sm_80"), build(16, 0, warps=1)]
    text = page.section({"builds": {"triton": "3.9", "lines": lines}})
    assert "Triton 3.9 compiles 1 for sm_80, 3 for sm_90, 0 for gfx942" in text
    assert "are spilled by 1 of them, of the aligned ones in bf16 and fp16 by 1" in text
    rows = [line for line in text.splitlines() if line.startswith("| `rope`: `_turn`")]
    assert [row.split(" | ")[-1] for row in rows] == ["8 |", "8 |", "32 |"]


def test_a_script_that_failed_is_named(page: ModuleType) -> None:
    result = {**measured(line("rope", 1.0)), "failed": {"glu": "stopped after 90 s"}}
    assert "`glu.py` did not end well: stopped after 90 s." in page.section({"cpu": result})
