"""The table's kernels are compiled for GPUs that are not here: of each op one for each GPU, all of them in `long`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product

import pytest

from evalharness.stack.errors import KernelError
from evalharness.stack.kernels.compilation import GPUS, builds, compile_build, whole
from evalharness.stack.kernels.op import TARGETS
from evalharness.stack.kernels.table import OPS

pytest.importorskip("triton")

SPILLING = {("sampling", "_draw")}
"""Kernels whose numbers may spill: a few bytes, behind the only pass over the logits that costs."""


def compiled(tmp_path, *arguments: str) -> list[dict]:
    """In a process that does not interpret, into an empty cache."""
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "evalharness.stack.kernels.compilation", *arguments]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=2400)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return [json.loads(line) for line in ended.stdout.splitlines()]


def check(line: dict) -> None:
    """A program needs no more shared memory than there is, and keeps its numbers in registers."""
    assert line["bytes"] > 1000
    assert line["shared"] <= GPUS[line["target"]].shared, line
    assert 0 < line["registers"] <= (512 if line["target"] == "gfx942" else 255), line
    if line["aligned"] and (line["op"], line["kernel"]) not in SPILLING:
        assert line["spilled"] == 0, line


def test_a_build_of_each_op_for_each_target(tmp_path):
    lines = compiled(tmp_path, "--brief")
    assert [(line["op"], line["target"]) for line in lines] == list(product(OPS, TARGETS))
    assert list(TARGETS) == list(GPUS)
    for line in lines:
        check(line)


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_all_builds_for_all_targets(tmp_path):
    lines = compiled(tmp_path)
    assert len(lines) == len(list(whole())) > 2 * len(list(builds()))
    for line in lines:
        check(line)


def test_a_process_that_interprets_compiles_nothing(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(KernelError, match="TRITON_INTERPRET is set"):
        compile_build(next(iter(builds())), "sm_90")
