"""One text on the embedded SmolLM2 with whole and with small weights: tokens a second, prompts, memory, and answers.

    python benchmarks/engine/quantized_decode.py [--rounds 5] [--tokens 96] [--threads 2] [--only WORK]

`texts`: greedy texts of one stream in the engine, nothing guessed ahead, with weights in fp32, bf16, int8 and int4 in
turns in one process; medians, and times of fp32.

`prompts`: a prompt of 512 tokens, read in `fast` and in `exact`, likewise.

`memory`: for each a process of its own, which reads the weights and writes a text of 32 tokens. Told is the most memory
that the operating system saw (`VmHWM`), less what the process had before: Python, torch, the stack, the tokenizer, and
the code that computing loads, for which a model of one layer with 256 tokens has written a text; and how many times the
bytes of the weights that is.

`answers`: log-likelihoods of the tokens of the texts below (written here) beside fp32's, and how often the likeliest
token is the same.

Prints JSON lines. Refuses to measure speed on a loaded machine unless --busy is said, which takes seconds of the
processor in place of the clock's; with `--threads 1` they say roughly how the kinds of weights compare.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from evalharness.backends import stack
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.checkpoints.load import build, in_blocks
from evalharness.stack.checkpoints.quantized import build_quantized
from evalharness.stack.engine import requests
from evalharness.stack.engine.engine import Engine
from evalharness.stack.engine.requests import GenerateJob, ScoreJob
from evalharness.stack.quantization.kinds import WEIGHTS

LOAD = 0.5
KINDS = {"fp32": {}, "bf16": {"dtype": "bfloat16"}, "int8": {"weights": "int8"}, "int4": {"weights": "int4"}}
PROMPT_TOKENS = 512
TEXTS = (
    "The history of the lighthouse begins with fires that were lit on hills to guide sailors into the harbour. Later, "
    "towers of stone were built, and the flame was put behind glass. In 1823, Augustin Fresnel made a lens that could "
    "throw the light of one lamp more than twenty miles. Today most lighthouses work by themselves, and satellites "
    "tell ships where they are; but many towers are kept, because people love them.",
    "Question: A baker sells 12 loaves in the morning and 9 in the afternoon, and each costs 3 dollars. How much does "
    "he earn that day?\nAnswer: He sells 12 + 9 = 21 loaves. Each costs 3 dollars, so that he earns 21 * 3 = 63 "
    "dollars. The answer is 63.\n\nQuestion: A train leaves at 9:40 and arrives at 11:05. How long does it travel?\n"
    "Answer: From 9:40 to 11:00 it is 80 minutes, and 5 minutes more make 85 minutes.",
    'def mean(values):\n    """The mean of some numbers."""\n    return sum(values) / len(values)\n\n\n'
    "def variance(values):\n    center = mean(values)\n"
    "    return sum((value - center) ** 2 for value in values) / len(values)\n",
    "Water boils at 100 degrees Celsius at the level of the sea, and at lower temperatures on high mountains, where "
    "the pressure of the air is lower. That is why it takes longer to cook beans there. In a pressure cooker the "
    "opposite happens: the steam cannot leave, the pressure rises, and the water gets hotter before it boils.",
)


def loaded(kind: str):
    """The decoder with such weights, and its tokenizer."""
    backend = stack.load(stack.EMBEDDED, **KINDS[kind])
    return next(iter(backend._ready().values())).model, backend.tokenizer


def run(model, tokenizer, job, numerics="fast", clock=time.perf_counter) -> float:
    """Seconds that an engine takes for one job."""
    engine = Engine(model, tokenizer.decode, guesses=0, numerics=numerics)
    began = clock()
    requests.answers(engine, [job])
    return clock() - began


def text_job(ids, tokens: int) -> GenerateJob:
    return GenerateJob(ids=tuple(ids), max_tokens=tokens)


def score_job(ids) -> ScoreJob:
    return ScoreJob(ids=tuple(ids), start=len(ids) - 1)


# --------------------------------------------------------------------------- speed


def texts(options: argparse.Namespace) -> None:
    def seconds(model, tokenizer) -> float:
        prompts = [tokenizer.encode(text)[:12] for text in TEXTS[:3]]
        return sum(run(model, tokenizer, text_job(ids, options.tokens), clock=clock(options)) for ids in prompts)

    in_turns("one stream", 3 * options.tokens, seconds, options)


def prompts(options: argparse.Namespace) -> None:
    for numerics in ("fast", "exact"):

        def seconds(model, tokenizer, numerics: str = numerics) -> float:
            line = (tokenizer.encode(" ".join(TEXTS)) * 3)[:PROMPT_TOKENS]
            return run(model, tokenizer, score_job(line), numerics, clock(options))

        in_turns(f"prompts, {numerics}", PROMPT_TOKENS, seconds, options)


def clock(options: argparse.Namespace) -> Callable[[], float]:
    return time.process_time if options.busy else time.perf_counter


def in_turns(work: str, tokens: int, seconds: Callable[..., float], options: argparse.Namespace) -> None:
    models = {kind: loaded(kind) for kind in KINDS}
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for turn in range(options.rounds + 1):
        for kind, (model, tokenizer) in models.items():
            took = seconds(model, tokenizer)
            if turn:  # the first turn warms up
                found[kind].append(took)
    medians = {kind: statistics.median(times) for kind, times in found.items()}
    print(
        json.dumps(
            {
                "work": work,
                "tokens_per_second": {kind: round(tokens / value, 1) for kind, value in medians.items()},
                "spread": {
                    kind: [round(tokens / most, 1) for most in (max(times), min(times))]
                    for kind, times in found.items()
                },
                "times_fp32": {kind: round(medians["fp32"] / value, 2) for kind, value in medians.items()},
                "clock": "of the processor" if options.busy else "of the wall",
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "load": round(os.getloadavg()[0], 1),
            }
        ),
        flush=True,
    )


# --------------------------------------------------------------------------- memory


def memory(options: argparse.Namespace) -> None:
    for kind in KINDS:
        command = [sys.executable, __file__, "--only", "peak", "--kind", kind, "--threads", str(options.threads)]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(), flush=True)


def peak(kind: str) -> None:
    """What a process needs for the weights and one text, beyond what it had before."""
    backend = stack.load(stack.EMBEDDED, **KINDS[kind])
    ids = backend.tokenizer.encode(TEXTS[0])[:12]
    run(small_model(backend, kind), backend.tokenizer, text_job([1, 2, 3], 4))
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what the small model left free counts as nobody's
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    model = next(iter(backend._ready().values())).model
    read = status("VmHWM") - before
    settled = status("VmRSS") - before
    run(model, backend.tokenizer, text_job(ids, 32))
    most = status("VmHWM") - before
    weights = weight_bytes(model)
    print(
        json.dumps(
            {
                "work": "memory",
                "weights": kind,
                "weights_mb": round(weights / 1e6, 1),
                "peak_while_reading_mb": round(read / 1e6, 1),
                "after_reading_mb": round(settled / 1e6, 1),
                "peak_mb": round(most / 1e6, 1),
                "peak_of_weights": round(most / weights, 2),
                "before_mb": round(before / 1e6, 1),
            }
        )
    )


def small_model(backend, kind: str):
    """A model of one layer and few tokens, of random numbers, with such weights."""
    config = replace(backend._checkpoint.config, layers=1, vocab_size=256)
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in Decoder(config).state_dict().items()}
    del shapes["head.weight"]  # the embedding's
    checkpoint = Random(config, {name: torch.randn(shape) / 24 for name, shape in shapes.items()})
    if kind in WEIGHTS:
        return build_quantized(checkpoint, torch.float32, torch.device("cpu"), kind)
    model = build(checkpoint, getattr(torch, KINDS[kind].get("dtype", "float32")), "cpu")
    model.pack()
    return model


@dataclass(frozen=True)
class Random:
    """As much of a checkpoint as reading one needs."""

    config: object
    weights: dict[str, torch.Tensor]

    def tensors(self):
        return iter(self.weights.items())

    def by_rows(self, numbers: int):
        return in_blocks(self.tensors(), numbers)


def status(key: str) -> int:
    """Bytes of a line of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"this system does not tell {key}; the memory can be read on Linux only")


def weight_bytes(model) -> int:
    """Bytes of all weights, however they lie."""
    found: dict[int, int] = {id(part): part.nbytes for part in model.parameters()}
    for layer in model.modules():
        for part in vars(layer).values():
            if isinstance(part, torch.Tensor):
                found[id(part)] = part.nbytes
            elif hasattr(part, "bytes"):
                found[id(part)] = part.bytes
    return sum(found.values())


# --------------------------------------------------------------------------- answers


def answers(options: argparse.Namespace) -> None:
    from evalharness.stack.layers.attention import WholeSequence

    found: dict[str, list[torch.Tensor]] = {}
    for kind in KINDS:
        model, tokenizer = loaded(kind)
        found[kind] = []
        for text in TEXTS:
            ids = torch.tensor(tokenizer.encode(text))
            with torch.inference_mode():
                hidden = model(ids, torch.arange(len(ids)), WholeSequence())
                found[kind].append(model.logits(hidden).log_softmax(-1))
    targets = [torch.tensor(tokenizer.encode(text))[1:, None] for text in TEXTS]
    whole = found["fp32"]
    for kind, logs in found.items():
        own, theirs = (
            torch.cat([log[:-1].gather(1, target) for log, target in zip(side, targets, strict=True)])
            for side in (logs, whole)
        )
        same = torch.cat([a.argmax(1) == b.argmax(1) for a, b in zip(logs, whole, strict=True)])
        divergence = torch.cat([(b.exp() * (b - a)).sum(1) for a, b in zip(logs, whole, strict=True)])
        off = (own - theirs).abs().flatten()
        print(
            json.dumps(
                {
                    "work": "answers",
                    "weights": kind,
                    "tokens": len(off),
                    "mean_log_likelihood": round(float(own.mean()), 4),
                    "absolute_difference_nats": {q: round(float(off.quantile(q)), 4) for q in (0.5, 0.9, 1.0)},
                    "divergence_nats": round(float(divergence.mean()), 5),
                    "likeliest_is_the_same": f"{int(same.sum())} of {len(same)}",
                }
            )
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--busy", action="store_true", help="measure on a loaded machine too")
    parser.add_argument("--only", choices=("texts", "prompts", "memory", "answers", "peak"))
    parser.add_argument("--kind", choices=tuple(KINDS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.only in (None, "texts", "prompts") and os.getloadavg()[0] > LOAD and not options.busy:
        raise SystemExit(f"the machine is busy (load {os.getloadavg()[0]:.2f}); nothing is measured")
    if options.only == "peak":
        peak(options.kind)
        return
    for work in (texts, prompts, memory, answers):
        if options.only in (None, work.__name__):
            work(options)


if __name__ == "__main__":
    main()
