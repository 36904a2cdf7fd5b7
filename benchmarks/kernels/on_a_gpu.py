"""Everything about kernels that a GPU is needed for, within ten minutes; goes on after a failure, ends with a summary.

    python benchmarks/kernels/on_a_gpu.py FOLDER [--minutes 9.5]

In this order: the tests of the kernels, the tests of the stack on a GPU, every op's benchmark, the engine and the
trainer end to end, other tiles of the kernels that multiply most, compute-sanitizer's memcheck over small shapes of
every op, where it is installed, and what torch.compile makes of the ops. What a step does not need of its time is the
next ones'. FOLDER gets a log of each step, `cuda.json` and `end_to_end-cuda.json` (copied to `results/` they are what
docs/kernels.md shows, written anew by `page.py`), and `summary.json`. Where there is no GPU the steps that can run on
a processor do, on tiny shapes, and it is said what was left out.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MEMCHECK = "compute-sanitizer"
FOUND = 86
"""Exit code of memcheck where it found something."""
CHECKED = (
    "rms_norm", "layer_norm", "rope", "glu", "cross_entropy", "linear_cross_entropy", "linear_scoring", "sampling",
    "adamw", "flash_attention", "shared_prefix_attention", "paged_decode", "quantized_linear", "experts",
    "selective_scan",
)  # fmt: skip
"""Scripts whose small shapes are checked."""
COMPILED = ("rms_norm", "layer_norm", "rope", "glu", "cross_entropy", "linear_cross_entropy", "linear_scoring")
"""Scripts that measure torch.compile too; what they measured without it stays where they do not end well."""
SECONDS = "SECONDS"
"""In a command: nine tenths of the seconds that its step has."""
SHOWN = 12
"""Lines of a log that the summary shows of a step that did not end well."""


@dataclass(frozen=True)
class Step:
    """A command, with the seconds that are kept for it."""

    name: str
    command: Sequence[str]
    seconds: float
    environment: dict[str, str] = field(default_factory=dict)
    left_out: str | None = None
    """Why it does not run."""


def steps(folder: Path, gpu: bool, seconds: float) -> list[Step]:
    python, device = sys.executable, "cuda" if gpu else "cpu"
    needs = None if gpu else "torch sees no GPU"
    lacking = needs or (None if shutil.which(MEMCHECK) else f"{MEMCHECK} is not installed")
    pytest = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    if gpu and importlib.util.find_spec("xdist") is not None:
        pytest += ["-n", "6"]
    options = ["--device", device, *([] if gpu else ["--small", "--threads", "1"])]
    ops = [python, str(HERE / "all.py"), *options, "--output", str(folder / f"{device}.json"), "--rounds", "9"]
    whole = [python, str(HERE / "end_to_end.py"), *options, "--output", str(folder / f"end_to_end-{device}.json")]
    checked = [python, str(Path(__file__)), str(folder), "--check"]
    return [
        Step(
            "tests of the kernels",
            [*pytest, "tests/stack/kernels" if gpu else "tests/stack/kernels/test_rms_norm.py"],
            0.22 * seconds,
        ),
        Step("tests of the stack on a GPU", [*pytest, "tests/stack/test_cuda.py"], 0.1 * seconds, left_out=needs),
        Step(
            "benchmarks of the ops",
            [*ops, "--no-compile", "--limit", "40", "--seconds", SECONDS],
            0.26 * seconds,
        ),
        Step(
            "end to end",
            [*whole, "--rounds", "2"],
            0.13 * seconds,
            environment={} if gpu else {"TRITON_INTERPRET": "1"},
        ),
        Step(
            "tiles",
            [python, str(HERE / "tiles.py"), "--seconds", SECONDS],
            0.1 * seconds,
            environment={} if gpu else {"TRITON_INTERPRET": "1"},
        ),
        Step(
            "memcheck",
            [MEMCHECK, "--tool", "memcheck", "--error-exitcode", str(FOUND), *checked],
            0.1 * seconds,
            # Each tensor gets memory of its own, beyond which nothing may be read or written.
            environment={"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"},
            left_out=lacking,
        ),
        Step(
            "benchmarks beside torch.compile",
            [*ops, "--compile", "--only", *COMPILED, "--seconds", SECONDS],
            0.07 * seconds,
            left_out=needs,
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=9.5)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.check:
        check()
        return
    asked.folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    about = device()
    print(json.dumps(about), flush=True)
    todo = steps(asked.folder.resolve(), about["gpu"] is not None, 60 * asked.minutes)
    summary = []
    for number, step in enumerate(todo):
        later = sum(other.seconds for other in todo[number + 1 :] if other.left_out is None)
        found = run(step, asked.folder, 60 * asked.minutes - (time.monotonic() - began) - later)
        print(f"{step.name}: {found['ended']}, {found['seconds']} s", flush=True)
        summary.append(found)
    (asked.folder / "summary.json").write_text(
        json.dumps({**about, "steps": summary}, indent=1) + "\n", encoding="utf-8"
    )
    print("\n" + told(summary), flush=True)
    raise SystemExit(any(found["ended"] not in ("well", "left out") for found in summary))


def device() -> dict[str, Any]:
    """What this runs on, asked of a process that ends, so that none of the GPU's memory stays taken."""
    asked = (
        "import json, torch; there = torch.cuda.is_available(); print(json.dumps({'torch': torch.__version__, "
        "'gpu': torch.cuda.get_device_name() if there else None}))"
    )
    ended = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    names = ("triton", "liger_kernel", "xdist")
    return {
        **json.loads(ended.stdout),
        "installed": [name for name in names if importlib.util.find_spec(name)]
        + [MEMCHECK] * bool(shutil.which(MEMCHECK)),
    }


def run(step: Step, folder: Path, limit: float) -> dict[str, Any]:
    """Run a step in processes of its own, which all end with it."""
    found: dict[str, Any] = {"step": step.name, "ended": "left out", "seconds": 0, "why": step.left_out}
    if step.left_out is not None:
        return found
    if limit < 5:
        return {**found, "ended": "not begun", "why": "no time was left"}
    log = folder / f"{step.name.replace(' ', '_')}.log"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **step.environment}
    command = [str(round(0.9 * limit)) if part == SECONDS else part for part in step.command]
    began = time.monotonic()
    with (
        log.open("w", encoding="utf-8") as out,
        subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env=environment, start_new_session=True) as process,
    ):
        try:
            code = process.wait(limit)
            ended = "well" if code == 0 else f"with exit code {code}"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            ended = f"stopped after {limit:.0f} s"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR "))]
    found |= {"ended": ended, "seconds": round(time.monotonic() - began), "last": lines[-1:]}
    return found if ended == "well" else {**found, "why": (failed or lines)[-SHOWN:]}


def told(summary: list[dict[str, Any]]) -> str:
    parts = []
    for found in summary:
        parts.append(
            f"{found['step']}: {found['ended']} ({found['seconds']} s) {' '.join(found.get('last', []))[:200]}"
        )
        why = found.get("why")
        parts += [f"    {line[:300]}" for line in ([why] if isinstance(why, str) else why or [])]
    return "\n".join(parts)


def check() -> None:
    """What memcheck looks at: the small shapes of every op, in one process."""
    sys.argv = [sys.argv[0], "--small", "--no-compile", "--device", "cuda", "--dtype", "float32", "bfloat16"]
    from providers import every_dtype

    for name in CHECKED:
        module = importlib.import_module(name)
        for asked in every_dtype(None):
            module.main(asked)
        print(f"checked {name}", flush=True)


if __name__ == "__main__":
    main()
