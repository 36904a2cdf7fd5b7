"""Seconds until `evalharness view` shows the first page of a run of 100,000 samples, and what it takes to filter it.

    python benchmarks/viewer/hundred_thousand.py [--samples 100000]

A finished run is written to a temporary folder: texts made of numbers, about 1.5 KB a line. The server is started as
the command is, and asked over HTTP. The last line is JSON, in seconds: `first_page_of_command` counts from the start of
the process, `first_page` from the moment the server says its address (its index is cold then), `index` until the count
of all samples can be told. Filters and searches are the median of five, each with a condition not asked before.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    samples = parser.parse_args().samples
    print(f"load average {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory() as folder:
        journal = make_run(Path(folder) / "run", samples)
        print(json.dumps({"samples": samples, "journal_bytes": journal.stat().st_size, **measured(folder)}))


def make_run(folder: Path, samples: int) -> Path:
    """A run whose scores, flags and texts vary; the path of its journal."""
    from runs_for_tests import write_run

    from evalharness.records.strict_json import one_line

    chance = random.Random(0)
    run = write_run(folder, [float(chance.random() < 0.4) for _ in range(samples)])
    with run.journal.open("wb") as file:
        for line in lines(samples, chance):
            file.write(one_line(line))
    return run.journal


def lines(samples: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    for place in range(samples):
        asked = " ".join(str(chance.randrange(10**6)) for _ in range(90))
        said = " ".join(str(chance.randrange(10**6)) for _ in range(30))
        scores = {"acc": float(chance.random() < 0.4)}
        flags = ["truncated"] if chance.random() < 0.05 else []
        sampling = {"max_tokens": 64, "temperature": 0.0, "top_p": 1.0, "top_k": 0, "stop": [], "seed": 0}
        completion = {"text": said, "finish_reason": "length" if flags else "stop"}
        call = {"prompt": f"Add {asked}\nAnswer:", "tokens": 300, "sampling": sampling, "completions": [completion]}
        yield {
            "task": "made_up", "id": f"number-{place}", "index": place, "content_hash": f"{place:064x}",
            "target": str(place), "completions": [said], "log_likelihoods": [], "greedy": [], "answer": said[:5],
            "scores": scores, "flags": flags, "repeats": [{"answer": said[:5], "scores": scores, "calls": [call]}],
        }  # fmt: skip


def measured(folder: str) -> dict[str, float]:
    began = time.perf_counter()
    command = [sys.executable, "-m", "evalharness", "view", folder, "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
        said = time.perf_counter()
        page(address, run="run")
        shown = time.perf_counter()
        page(address, run="run", sort="-order")
        found = {
            "first_page_of_command": shown - began,
            "first_page": shown - said,
            "index": time.perf_counter() - said,
            "filter": median(address, [{"low": f"0.{place}", "flag": "truncated"} for place in range(1, 6)]),
            "sort_by_score": median(address, [{"sort": "-score", "low": f"0.{place}"} for place in range(1, 6)]),
            "search_rare": median(address, [{"text": f"number-{place}999"} for place in range(1, 6)]),
            "search_in_every_sample": median(
                address, [{"text": text} for text in ("answer:", "Add", "a", "d", "ADD ")]
            ),
            "sample": median(address, [{"id": f"number-{place}"} for place in range(5)], "sample"),
        }
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0
    return {key: round(value, 3) for key, value in found.items()}


def page(address: str, path: str = "run", **parameters: str) -> None:
    with urllib.request.urlopen(f"{address}{path}?{urlencode(parameters)}") as response:
        assert b"<table" in response.read()


def median(address: str, queries: list[dict[str, str]], path: str = "run") -> float:
    took = []
    for query in queries:
        began = time.perf_counter()
        page(address, path, run="run", **query)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


if __name__ == "__main__":
    main()
