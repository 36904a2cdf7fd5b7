"""MMLU's questions scored on the embedded SmolLM2: memory and seconds of the engine, beside plain logits of all rows.

    python benchmarks/engine/scoring_memory.py [--data-dir MIRROR] [--questions 24] [--rounds 3] [--threads 2]

The questions are those of mmlu/astronomy of a mirror (docs/data.md; `EVALHARNESS_DATA` names one too), with 5 shots,
else made up here of like length. Asked are the four letters behind each. Three ways, each in a process of its own, in
turns; medians:

- `engine`: as it is, which makes logits of the rows that are wanted only, in chunks (kernels/linear_scoring);
- `lines`: the same engine, but all rows of each of its lines become logits, and these log-probabilities;
- `batches`: whole prompts, 8 at a time, all of whose rows become logits, and these log-probabilities.

`extra_mb` is the most memory that the operating system saw (`VmHWM`), less what the process had before it began: the
weights, Python, and the code that computing loads, for which two tokens have been scored. `whole_mb` is all of it.
Prints one JSON line. Linux with glibc only. Refuses to measure on a loaded machine unless --busy is said.
"""

from __future__ import annotations

import argparse
import ctypes
import gzip
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from evalharness.backends import stack
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.engine.engine import Engine
from evalharness.stack.engine.requests import ScoreJob, answers
from evalharness.stack.layers.attention import WholeSequence

LOAD = 0.5
WAYS = ("engine", "lines", "batches")
SHOTS, BATCH = 5, 8
LETTERS = "ABCD"


class PlainLines(Engine):
    """Makes log-probabilities of all rows of a line."""

    def _score(self, hidden_TW, wants) -> None:
        logs_TV = self.model.logits(hidden_TW).log_softmax(-1)
        likeliest_T = logs_TV.argmax(-1)
        for row, score, index, target in wants:
            score.keep(index, float(logs_TV[row, target]), int(likeliest_T[row]) == target)


def rows(folder: Path | None, split: str) -> Iterator[dict]:
    """Questions, choices and the place of the right one."""
    if folder is not None:
        with gzip.open(folder / "cais" / "mmlu" / "astronomy" / f"{split}.jsonl.gz", "rt", encoding="utf-8") as file:
            yield from map(json.loads, file)
        return
    for number in range(SHOTS if split == "dev" else 10_000):
        a, b = 13 + 7 * number, 3 + number % 11
        text = (
            f"A shop that sells pencils by the box had {a} boxes in the morning, each with {b} pencils in it. No box "
            f"was opened during the day, but {b} more of them were brought at noon, and nobody bought any of those "
            "before the shop was closed. How many pencils does the shop have in the evening?"
        )
        right = (a + b) * b
        yield {"question": text, "choices": [right + b, right - a, right, a * b], "answer": 2}


def asked(row: dict) -> str:
    choices = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, row["choices"], strict=True))
    return f"{row['question']}\n{choices}\nAnswer:"


def prompts(options: argparse.Namespace, encode) -> list[list[int]]:
    shots = "\n\n".join(f"{asked(row)} {LETTERS[row['answer']]}" for row in rows(options.data_dir, "dev"))
    questions = rows(options.data_dir, "test")
    return [encode(f"{shots}\n\n{asked(next(questions))}") for _ in range(options.questions)]


def by_engine(kind: type[Engine], model: Decoder, asked: list[list[int]], letters: list[int]) -> list[float]:
    jobs = [
        ScoreJob(ids=(*ids, letter), start=len(ids), user=number)
        for number, ids in enumerate(asked)
        for letter in letters
    ]
    engine = kind(model, lambda ids: "", numerics="exact")
    return [scores.log_likelihoods[0] for scores in answers(engine, jobs)]


def by_batches(model: Decoder, asked: list[list[int]], letters: list[int]) -> list[float]:
    batches = [asked[begin : begin + BATCH] for begin in range(0, len(asked), BATCH)]
    return [value for batch in batches for value in by_batch(model, batch, letters)]


@torch.inference_mode()
def by_batch(model: Decoder, batch: list[list[int]], letters: list[int]) -> list[float]:
    hidden = [model(torch.tensor(ids), torch.arange(len(ids)), WholeSequence()) for ids in batch]
    logs_TV = model.logits(torch.cat(hidden)).log_softmax(-1)
    last = torch.tensor([len(ids) for ids in batch]).cumsum(0) - 1
    return logs_TV[last][:, letters].flatten().tolist()


def status(key: str) -> int:
    """Bytes of a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


def one(options: argparse.Namespace) -> dict:
    """What one way takes, in this process."""
    torch.set_num_threads(options.threads)
    backend = stack.load(stack.EMBEDDED)
    model, tokenizer = next(iter(backend._ready().values())).model, backend.tokenizer
    given = prompts(options, tokenizer.encode), [tokenizer.encode(f" {letter}")[-1] for letter in LETTERS]
    ways = {
        "engine": lambda asked, letters: by_engine(Engine, model, asked, letters),
        "lines": lambda asked, letters: by_engine(PlainLines, model, asked, letters),
        "batches": lambda asked, letters: by_batches(model, asked, letters),
    }
    ways[options.way]([[1, 2]], given[1])
    # What was freed and not given back would be used again unseen.
    ctypes.CDLL(None).malloc_trim(0)
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    began = time.perf_counter()
    values = ways[options.way](*given)
    seconds = time.perf_counter() - began
    most = status("VmHWM")
    tokens = sum(map(len, given[0]))
    return {"seconds": seconds, "extra": most - before, "whole": most, "values": values, "tokens": tokens}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("EVALHARNESS_DATA"))
    parser.add_argument("--questions", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--busy", action="store_true", help="measure on a loaded machine")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.data_dir is not None:
        options.data_dir = Path(options.data_dir)
    if options.way:
        print(json.dumps(one(options)))
        return
    load = os.getloadavg()[0]
    if load > LOAD and not options.busy:
        raise SystemExit(f"the machine is loaded ({load:.1f}): wait until nothing else runs.")
    found: dict[str, list[dict]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way, runs in found.items():
            command = [sys.executable, __file__, "--way", way, *sys.argv[1:]]
            runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))

    def median(way: str, key: str) -> float:
        return statistics.median(run[key] for run in found[way])

    plain = found["batches"][0]["values"]
    told = {
        way: {
            "seconds": round(median(way, "seconds"), 2),
            "extra_mb": round(median(way, "extra") / 1e6, 1),
            "whole_mb": round(median(way, "whole") / 1e6, 1),
            "extra_of_lines": round(median(way, "extra") / median("lines", "extra"), 3),
            "extra_of_batches": round(median(way, "extra") / median("batches", "extra"), 3),
            "seconds_of_batches": round(median(way, "seconds") / median("batches", "seconds"), 3),
            "largest_difference": max(abs(a - b) for a, b in zip(runs[0]["values"], plain, strict=True)),
        }
        for way, runs in found.items()
    }
    print(
        json.dumps(
            {
                "questions": options.questions, "of": "made up" if options.data_dir is None else "mmlu/astronomy",
                "tokens": found["engine"][0]["tokens"], "threads": options.threads, "torch": torch.__version__,
                "load": round(load, 1), **told,
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
