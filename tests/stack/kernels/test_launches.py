"""The table has the builds that large models launch, and no others: what is compiled is what will run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evalharness.stack.kernels.compilation import Build, builds
from evalharness.stack.kernels.op import TARGETS

pytest.importorskip("triton")

LAUNCHES = Path(__file__).with_name("launches.py")
TYPES = {
    "float32": "fp32",
    "bfloat16": "bf16",
    "float64": "fp64",
    "int64": "i64",
    "int32": "i32",
    "int8": "i8",
    "uint8": "u8",
}
"""Triton's names of torch's."""

BORROWED = {"shared_prefix_attention": "paged_decode"}
"""Ops that launch a kernel of another."""


def launches(target: str) -> list[dict[str, Any]]:
    tests = str(LAUNCHES.parent.parent.parent)
    environment = {**os.environ, "TRITON_INTERPRET": "0", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": tests}
    command = [sys.executable, str(LAUNCHES), target]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return [json.loads(line) for line in ended.stdout.splitlines()]


def is_of(build: Build, launch: dict[str, Any]) -> bool:
    signature = build.signature
    types = {name: type.replace("T", build.dtype) for name, type in signature.arguments.items()}
    return (
        launch["op"] in (build.op, BORROWED.get(build.op))
        and signature.kernel == launch["kernel"]
        and dict(signature.constants[build.number]) == launch["constants"]
        and (signature.warps, signature.stages) == (launch["warps"], launch["stages"])
        and all(types.get(name) == f"*{TYPES[dtype]}" for name, dtype in launch["pointers"].items())
    )


def told(launch: dict[str, Any]) -> str:
    return json.dumps({name: launch[name] for name in ("op", "kernel", "constants", "warps", "stages", "pointers")})


@pytest.mark.parametrize("target", TARGETS)
def test_the_table_has_what_is_launched_and_nothing_else(target: str) -> None:
    table = [build for build in builds() if target in build.signature.targets]
    unseen = set(range(len(table)))
    missing: dict[str, None] = {}
    for launch in launches(target):
        found = {number for number, build in enumerate(table) if is_of(build, launch)}
        unseen -= found
        if not found:
            missing[told(launch)] = None
    assert not missing, "launched, but not in the table:\n" + "\n".join(missing)
    left = [table[number] for number in sorted(unseen) if table[number].dtype != "fp16"]
    assert not left, "in the table, but never launched:\n" + "\n".join(map(told_build, left))


def told_build(build: Build) -> str:
    signature = build.signature
    constants = dict(signature.constants[build.number])
    return f"{build.op} {signature.kernel} {build.dtype} {constants} warps {signature.warps} stages {signature.stages}"
