"""Tokens a second of 64 greedy texts that run at once, beside vLLM on a CPU, in fp32 and bf16.

    python benchmarks/engine/decode_streams.py --vllm-python FOLDER/bin/python [--pairs 3] [--dtype float32]

FOLDER is made by `vllm_environment.sh`. Both sides continue the same 64 prompts (written here, about 30 tokens each) by
128 tokens and never end early, each in a process of its own that warms up first; the two take turns. Counted is what
the last 127 tokens of every text take, the time for one token each being taken off: prompts and start-up do not count.
Ours runs in `fast` and in `exact`, without guessing ahead, as it does where more than eight texts run. Prints one JSON
line. Refuses to start on a loaded machine.
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
from collections.abc import Callable
from pathlib import Path

from whole_runs import LOAD, VLLM_ENVIRONMENT

STREAMS, TOKENS = 64, 128
RESULT = "seconds of decoding:"
"""Before what a side says: vLLM writes its log to the same place."""
THINGS = ("loaves", "tickets", "pencils", "bricks", "apples", "stamps", "bottles", "chairs")


def prompts() -> list[str]:
    return [
        f"Question: A shop sells {3 + n} {THINGS[n % len(THINGS)]} in the morning and {2 * n + 5} in the afternoon. "
        "How many does it sell?\nAnswer:"
        for n in range(STREAMS)
    ]


def decode_seconds(generate: Callable[[int], None]) -> float:
    """Of all tokens but the first one of each text; `generate` makes texts of so many tokens."""
    generate(8)
    began = time.perf_counter()
    generate(1)
    middle = time.perf_counter()
    generate(TOKENS)
    return (time.perf_counter() - middle) - (middle - began)


def ours(ids: list[list[int]], numerics: str, dtype: str) -> float:
    import torch

    from evalharness.backends import stack
    from evalharness.stack.engine.engine import Engine
    from evalharness.stack.engine.requests import GenerateJob, answers

    backend = stack.load("smollm2", dtype=dtype, threads=int(os.environ["OMP_NUM_THREADS"]))
    model = next(iter(backend._ready().values())).model
    assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])

    def generate(tokens: int) -> None:
        engine = Engine(model, backend.tokenizer.decode, numerics=numerics)  # type: ignore[arg-type]
        answers(engine, [GenerateJob(ids=tuple(prompt), max_tokens=tokens) for prompt in ids])

    return decode_seconds(generate)


def vllm(ids: list[list[int]], checkpoint: str, dtype: str) -> float:
    from vllm import LLM, SamplingParams

    model = LLM(model=checkpoint, dtype=dtype, max_model_len=512, max_num_seqs=STREAMS, enable_prefix_caching=True)

    def generate(tokens: int) -> None:
        sampling = SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True, detokenize=False)
        found = model.generate([{"prompt_token_ids": prompt} for prompt in ids], sampling, use_tqdm=False)
        assert all(len(text.outputs[0].token_ids) == tokens for text in found)

    return decode_seconds(generate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm-python", required=True)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--side", help=argparse.SUPPRESS)  # one process of this script: fast, exact or a checkpoint
    options = parser.parse_args()
    if options.side:
        ids = json.load(sys.stdin)
        run = ours if options.side in ("fast", "exact") else vllm
        print(RESULT, run(ids, options.side, options.dtype), flush=True)
        return
    if (load := os.getloadavg()[0]) > LOAD:
        raise SystemExit(f"the machine is loaded ({load:.1f}): wait until nothing else runs.")
    from evalharness.backends import stack

    environment = {**os.environ, **VLLM_ENVIRONMENT, "OMP_NUM_THREADS": str(options.threads)}
    tokenizer = stack.load("smollm2").tokenizer
    asked = json.dumps([list(tokenizer.encode(prompt)) for prompt in prompts()])
    rates: dict[str, list[float]] = {"fast": [], "exact": [], "vllm": []}
    with tempfile.TemporaryDirectory() as place:
        checkpoint = str(Path(place) / "checkpoint")
        stack.convert("smollm2", Path(checkpoint))
        sides = {"fast": (sys.executable, "fast"), "exact": (sys.executable, "exact")}
        sides["vllm"] = (options.vllm_python, checkpoint)
        for _ in range(options.pairs):
            for name, (python, side) in sides.items():
                command = [python, __file__, "--side", side, "--dtype", options.dtype, "--vllm-python", "-"]
                done = subprocess.run(
                    command, input=asked, env=environment, check=True, stdout=subprocess.PIPE, text=True
                )
                told = next(line for line in done.stdout.splitlines() if line.startswith(RESULT))
                rates[name].append(STREAMS * (TOKENS - 1) / float(told.removeprefix(RESULT)))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    print(
        json.dumps(
            {
                "streams": STREAMS,
                "dtype": options.dtype,
                "threads": options.threads,
                "tokens_per_second": {name: round(value, 1) for name, value in medians.items()},
                "spread": {name: [round(min(found), 1), round(max(found), 1)] for name, found in rates.items()},
                "ratio": round(medians["fast"] / medians["vllm"], 2),
                "ratio_exact": round(medians["exact"] / medians["vllm"], 2),
                "exact_over_fast_time": round(medians["fast"] / medians["exact"], 2),
            }
        )
    )


if __name__ == "__main__":
    main()
