"""A ladder of tiny models on a folder of texts: trained, fitted, and the largest of them predicted by the others.

Four budgets over 1.5 decades of operations, each spent on three sizes of model (so that parabolas can be fitted too),
and one budget 3.1 times the largest of them, whose run is held out. About 6e13 operations. Stopped and started again it
goes on where it was. `--scale 0.1` makes every budget a tenth, to see that it works.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
import yaml

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.options import ModelOptions

VOCABULARY, CONTEXT, SEQUENCES = 1_024, 128, 8
SIZES = {  # layers, width, heads; named by all parameters, the tied embedding's included
    "38k": (2, 24, 2),
    "66k": (2, 32, 2),
    "0.13m": (3, 48, 3),
    "0.28m": (4, 64, 4),
    "0.54m": (4, 96, 4),
    "1.2m": (5, 128, 4),
}
BUDGETS = {
    2.5e11: ("38k", "66k", "0.13m"),
    8e11: ("66k", "0.13m", "0.28m"),
    2.5e12: ("0.13m", "0.28m", "0.54m"),
    8e12: ("0.28m", "0.54m", "1.2m"),
    2.5e13: ("1.2m",),
}
"""Operations, 6 N D, and who is trained with them."""
WORDS, ASKED, BEFORE = 1, 400, 40
"""Words to go on with, how many passages are asked about, and words that stand before."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One training."""

    name: str
    model: dict[str, Any]
    steps: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--texts", type=Path, required=True, help="A folder of .txt or .txt.gz, public-domain novels say."
    )
    parser.add_argument("--output", type=Path, default=Path("runs/scaling-ladder"), help="Where everything goes.")
    parser.add_argument("--scale", type=float, default=1.0, help="Times every budget.")
    parser.add_argument("--jobs", type=int, default=2, help="Trainings at once, a thread each.")
    parser.add_argument("--no-evaluation", action="store_true", help="Train only; no task is asked.")
    arguments = parser.parse_args()
    folder, began = arguments.output, time.perf_counter()
    prepare(arguments.texts, folder)
    prepared = time.perf_counter() - began
    rungs = list(ladder(arguments.scale))
    for rung in rungs:
        write_yaml(folder, rung, evaluated=not arguments.no_evaluation)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        # The longest first: the short ones then fill what is left.
        list(pool.map(lambda rung: train(folder, rung), reversed(rungs)))
    trained = time.perf_counter() - began - prepared
    told = fit(folder, rungs)
    (predicted,) = told["forms"]["chinchilla"]["predictions"]
    computes = [run["compute"] for run in told["runs"] if not run["held_out"]]
    summary = {
        "benchmark": "scaling ladder",
        "runs": len(rungs),
        "fitted_decades": round(math.log10(max(computes) / min(computes)), 2),
        "times_largest": round(predicted["times_largest"], 2),
        "predicted": predicted["loss"],
        "measured": predicted["measured"],
        "error": predicted["error"],
        "seconds": {"prepared": round(prepared), "trained": round(trained)},
    }
    print(json.dumps(summary))


def ladder(scale: float) -> Iterator[Rung]:
    """From the least budget up."""
    for budget, names in BUDGETS.items():
        for name in names:
            layers, width, heads = SIZES[name]
            model = {"layers": layers, "width": width, "heads": heads, "tied_embeddings": True}
            steps = max(10, round(scale * budget / (6 * parameters(model) * SEQUENCES * CONTEXT)))
            yield Rung(f"{budget:.1e}-{name}".replace("+", ""), model, steps)


def parameters(model: dict[str, Any]) -> int:
    """All of a model's."""
    options = ModelOptions.model_validate({**model, "vocab_size": VOCABULARY})
    config = options.to_config(vocab_size=VOCABULARY, max_length=CONTEXT, bos_id=None, eos_ids=())
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in Decoder(config).parameters())


def prepare(texts: Path, folder: Path) -> None:
    """A tokenizer, a corpus to learn and one to measure losses on; every eighth book by the hash of its name is held
    out, and at least one."""
    books = sorted(
        (path for path in texts.iterdir() if path.name.endswith((".txt", ".txt.gz"))),
        key=lambda path: sha256(path.name.encode()).digest(),
    )
    if len(books) < 2:
        raise SystemExit(f"{texts}: holds {len(books)} texts (.txt, .txt.gz); two or more are needed.")
    held_out, learned = books[: max(1, len(books) // 8)], books[max(1, len(books) // 8) :]
    print(f"held out: {', '.join(path.name for path in held_out)}; learned: {len(learned)} books")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "tokenizer" / "training_card.json").exists():
        shutil.rmtree(folder / "tokenizer", ignore_errors=True)
        command("tokenizer", "train", *map(Path.resolve, learned), "--output", folder / "tokenizer",
                "--vocab-size", VOCABULARY)  # fmt: skip
    for name, paths in (("corpus", learned), ("held_out_corpus", held_out)):
        sources = [{"name": "books", "paths": [str(path.resolve()) for path in paths]}]
        write(folder / f"{name}.yaml", {"output": name, "tokenizer": "tokenizer", "sources": sources})
        command("corpus", "build", folder / f"{name}.yaml")
    rows = list(passages(held_out))
    (folder / "passages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    write(folder / "next_word.yaml", TASK)


TASK = {
    "name": "next_word",
    "ability": "generation/language_modeling",
    "description": "The next word of passages from books that were not learned.",
    "data": {"file": "passages.jsonl"},
    "prompt": {"template": "plain", "question": "{{ before }}"},
    "continuation": "{{ after }}",
    "elicitation": {"method": "continuation_likelihood"},
    "metrics": ["greedy_match", "perplexity"],
}
"""Scored under a metric that jumps and one that does not."""


def passages(books: list[Path]) -> Iterator[dict[str, str]]:
    """Evenly from all over the books."""
    words = [word for book in books for word in read(book).split()]
    apart = max(BEFORE + WORDS, len(words) // ASKED)
    for begin in range(0, len(words) - BEFORE - WORDS, apart):
        middle = begin + BEFORE
        yield {"before": " ".join(words[begin:middle]), "after": " ".join(words[middle : middle + WORDS])}


def read(book: Path) -> str:
    with gzip.open(book, "rt", encoding="utf-8") if book.suffix == ".gz" else book.open(encoding="utf-8") as file:
        return file.read()


def write_yaml(folder: Path, rung: Rung, *, evaluated: bool) -> None:
    """The YAML of a training; all of them alike but for the model and the steps."""
    values: dict[str, Any] = {
        "folder": rung.name,
        "data": {"corpus": "corpus", "context": CONTEXT, "validation": {"corpus": "held_out_corpus"}},
        "model": rung.model,
        "steps": rung.steps,
        "batch": {"sequences": SEQUENCES},
        "optimizer": [
            {"kind": "matrix", "name": "muon", "rate": 0.02, "rate_adjustment": "original"},
            {"name": "adamw", "rate": 4e-3, "betas": [0.9, 0.98]},
        ],
        # To the end of its own steps: a schedule cut short makes a law of large models (Hoffmann et al. 2022, 3.1).
        "schedule": {"shape": "wsd", "warmup": min(20, rung.steps // 10), "decay_share": 0.4, "decay_shape": "linear"},
        "validate_every": rung.steps,
        "validate_sequences": 512,
        "checkpoints": {"every": rung.steps, "keep": {"last": 1}},
        "compute": {"threads": 1},
    }
    if evaluated:
        values["evaluation"] = {"every": rung.steps, "tasks": ["next_word.yaml"]}
    write(folder / f"{rung.name}.yaml", values)


def train(folder: Path, rung: Rung) -> None:
    began = time.perf_counter()
    command("pretrain", folder / f"{rung.name}.yaml", "--quiet")
    print(f"{rung.name}: {rung.steps:,} steps, {time.perf_counter() - began:.0f} s", flush=True)


def fit(folder: Path, rungs: list[Rung]) -> dict[str, Any]:
    """As the command prints it, and as JSON."""
    arguments = ("scaling", "fit", *(folder / rung.name for rung in rungs), "--hold-out", 1)
    command(*arguments, "--output", folder / "scaling.html")
    told = subprocess.run(
        [sys.executable, "-m", "evalharness", *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    (folder / "scaling.json").write_text(told.stdout, encoding="utf-8")
    values: dict[str, Any] = json.loads(told.stdout)
    return values


def write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def command(*arguments: object) -> None:
    """Run the harness's command.

    Raises:
        SystemExit: it failed, and has said why.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([sys.executable, "-m", "evalharness", *map(str, arguments)], check=False, env=environment)
    if ended.returncode:
        raise SystemExit(ended.returncode)


if __name__ == "__main__":
    main()
