"""Seconds until `evalharness inspect` shows its first screen of a run of 100,000 samples.

    python benchmarks/inspect_100k.py [--samples 100000]

A run of a few replayed samples is made with the command line, and its journal is drawn out by lines like its own. The
last line is JSON: wall times of the whole command, start-up included, and of parsing every line of the journal in the
same Python, which is what a viewer without laziness does before it shows anything.
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

FEW = 60
PARSE = "import json, sys; [json.loads(line) for line in open(sys.argv[1], 'rb')]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    samples = parser.parse_args().samples
    print(f"load average {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory() as folder:
        journal = make_run(Path(folder), samples)
        inspect = [sys.executable, "-m", "evalharness", "inspect", "run"]
        told = {
            "samples": samples,
            "journal_bytes": journal.stat().st_size,
            "first_screen_s": seconds(inspect, folder),
            "wrong_at_the_start_s": seconds([*inspect, "--wrong", "--limit", "1"], folder),
            "wrong_at_the_end_s": seconds([*inspect, "--wrong", "--offset", "1", "--limit", "1"], folder),
            "failed_and_none_is_s": seconds([*inspect, "--errored"], folder),
            "parsing_every_line_s": seconds([sys.executable, "-c", PARSE, str(journal)], folder),
        }
    told["ratio_of_the_worst"] = round(told["parsing_every_line_s"] / told["wrong_at_the_end_s"], 1)
    print(json.dumps(told))


def make_run(folder: Path, samples: int) -> Path:
    """A finished run whose second and last samples are wrong; the path of its journal."""
    rows = [{"question": f"{n} + 1 = ?" + " and so on" * 40, "answer": str(n + 1)} for n in range(FEW)]
    definition = {
        "name": "sums",
        "data": {"file": "sums.jsonl"},
        "prompt": {"template": "question_answer", "question": "{{ question }}"},
        "target": "{{ answer }}",
        "answer": {"parser": "number"},
    }
    (folder / "sums.yaml").write_text(json.dumps(definition))
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = [{"index": n, "completions": [f"So it is {n + 1 + (n == 1)}." + " Well." * 60]} for n in range(FEW)]
    (folder / "said.jsonl").write_text("".join(json.dumps(line) + "\n" for line in said))
    command = ["run", "--task", "sums.yaml", "--model", "replay:said.jsonl", "--output", "run", "--quiet"]
    subprocess.run([sys.executable, "-m", "evalharness", *command], cwd=folder, check=True, capture_output=True)
    journal = folder / "run" / "samples.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    with journal.open("w", encoding="utf-8") as file:
        for number in range(samples):
            line = lines[1] if number in (1, samples - 1) else lines[2 + number % (FEW - 2)]
            at = line.index('"id":"')
            file.write(f'{line[:at]}"id":"{number}",{line[line.index(",", at) + 1 :]}')
    return journal


def seconds(command: list[str], folder: str) -> float:
    """Median of three."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        took.append(time.perf_counter() - began)
    return round(statistics.median(took), 3)


if __name__ == "__main__":
    main()
