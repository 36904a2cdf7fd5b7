"""How far log-likelihoods in bf16 are from those in fp32, on the same questions: quantiles, and choices that change.

    python benchmarks/engine/dtype_difference.py --data-dir MIRROR

Runs MMLU astronomy (5 shots, 152 questions) and HellaSwag (0 shots, 100 documents) on SmolLM2 in both types of
numbers, and prints one JSON line each: quantiles of the absolute difference in nats over all choices, and how many
questions are answered otherwise. Needs what `whole_runs.py` needs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from whole_runs import WORKS


def log_likelihoods(folder: Path) -> dict[str, list[float]]:
    lines = map(json.loads, (folder / "samples.jsonl").open())
    return {line["id"]: line["log_likelihoods"] for line in lines}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    options = parser.parse_args()
    for work in ("mmlu", "hellaswag"):
        with tempfile.TemporaryDirectory() as place:
            found = {}
            for dtype in ("float32", "bfloat16"):
                folder = Path(place) / dtype
                command = [
                    sys.executable,
                    "-m",
                    "evalharness",
                    "run",
                    *WORKS[work],
                    "--data-dir",
                    str(options.data_dir),
                ]
                command += ["--dtype", dtype, "--numerics", "fast", "--quiet", "--output", str(folder)]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                found[dtype] = log_likelihoods(folder)
        exact, rounded = found["float32"], found["bfloat16"]
        differences = np.concatenate([np.abs(np.subtract(exact[id], rounded[id])) for id in exact])
        changed = sum(int(np.argmax(exact[id]) != np.argmax(rounded[id])) for id in exact)
        ties = sum(len(set(rounded[id])) < len(rounded[id]) for id in exact)
        quantiles = {str(q): round(float(np.quantile(differences, q)), 4) for q in (0.5, 0.9, 0.99, 1.0)}
        print(
            json.dumps(
                {
                    "work": work,
                    "choices": len(differences),
                    "questions": len(exact),
                    "absolute_difference_nats": quantiles,
                    "answered_otherwise": changed,
                    "ties_in_bf16": ties,
                }
            )
        )


if __name__ == "__main__":
    main()
