"""Start-up of the command line: `evalharness --help` and `evalharness tasks`, beside lm-eval's counterparts.

    python benchmarks/startup.py [--runs 5]

Each command runs in a fresh process, once unmeasured (which fills the disk cache and writes byte code) and then
`--runs` times, ours and the peer's in turn; the medians of the wall time are compared. The last line is JSON.
lm-eval is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

OURS = {"help": ["-m", "evalharness", "--help"], "tasks": ["-m", "evalharness", "tasks"]}
PEER = {"help": ["-m", "lm_eval", "--help"], "tasks": ["-m", "lm_eval", "ls", "tasks"]}
GOAL, MOST = 0.3, 0.5


def seconds(arguments: list[str]) -> float:
    """Wall time of one fresh process."""
    clone = Path(__file__).resolve().parents[1]
    places = os.pathsep.join(filter(None, (str(clone), os.environ.get("PYTHONPATH"))))
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": places, "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    commands = {f"ours_{name}": arguments for name, arguments in OURS.items()}
    if importlib.util.find_spec("lm_eval"):
        commands |= {f"lm_eval_{name}": arguments for name, arguments in PEER.items()}
    for arguments in commands.values():
        seconds(arguments)
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, arguments in commands.items():
            taken[name].append(seconds(arguments))
    median = {f"{name}_seconds": round(statistics.median(values), 3) for name, values in taken.items()}
    ratios = {
        f"{name}_ratio": round(
            statistics.median(taken[f"lm_eval_{name}"]) / statistics.median(taken[f"ours_{name}"]), 1
        )
        for name in OURS
        if f"lm_eval_{name}" in taken
    }
    print(json.dumps({"benchmark": "startup", "runs": runs, **median, **ratios, "goal_seconds": GOAL,
                      "most_seconds": MOST, "load_average": round(os.getloadavg()[0], 2)}))  # fmt: skip


if __name__ == "__main__":
    main()
