"""`compare` of two runs of 100,000 samples, and `check` of a small one: seconds and peak memory of whole processes.

    python benchmarks/comparison/hundred_thousand.py [--samples 100000] [--rounds 3]

The runs are written to a temporary folder: lines of about 1.5 KB, as a task with some demonstrations leaves them.
Prints one JSON line: the medians, and the limits that they are held against.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

LIMITS = {"compare_seconds": 5.0, "compare_megabytes": 1000.0, "check_seconds": 2.0}
GATE = "gate: own\ntasks:\n  - {task: made_up, margin: 0.03}\n"


def write(folder: Path, samples: int, seed: int) -> None:
    """A run folder whose prompts have about the length of real ones."""
    from runs_for_tests import lines_of, write_run

    from evalharness.records.strict_json import one_line

    draw = random.Random(seed)
    run = write_run(folder, [float(draw.random() < 0.5) for _ in range(samples)], model=f"model-{seed}")
    lines = lines_of(run)
    with run.journal.open("wb") as file:
        for line in lines:
            line["repeats"][0]["calls"][0]["prompt"] = "Question: how many of them are there? Answer: " * 22
            file.write(one_line(line))


def timed(folder: Path, *arguments: str) -> tuple[float, float]:
    """Seconds and peak memory in MB of a command."""
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "evalharness", *arguments], cwd=folder, stdout=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"evalharness {' '.join(arguments)} ended with {process.returncode}")
    return time.perf_counter() - began, usage.ru_maxrss / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed, side in enumerate(("old", "new")):
            write(folder / side, options.samples, seed)
            write(folder / f"small-{side}", 400, seed)
        size = (folder / "old" / "samples.jsonl").stat().st_size / options.samples
        (folder / "own.yaml").write_text(GATE)
        compared = [timed(folder, "compare", "old", "new") for _ in range(options.rounds)]
        gate = ("check", "--gate", "own.yaml", "--baseline", "small-old", "--candidate", "small-new")
        checked = [timed(folder, *gate) for _ in range(options.rounds)]
    found = {
        "compare_seconds": statistics.median(seconds for seconds, _ in compared),
        "compare_megabytes": statistics.median(megabytes for _, megabytes in compared),
        "check_seconds": statistics.median(seconds for seconds, _ in checked),
    }
    print(
        json.dumps(
            {
                "samples": options.samples,
                "bytes_a_line": round(size),
                **{key: round(value, 2) for key, value in found.items()},
                "limits": LIMITS,
                "within": all(found[key] <= limit for key, limit in LIMITS.items()),
            }
        )
    )


if __name__ == "__main__":
    main()
