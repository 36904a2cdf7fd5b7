"""The gate on real models: SmolLM2-135M against itself, in bf16, and against four damaged copies of itself.

Every model answers the suite `quick` without gsm8k; the first run is kept as the baseline, the others are checked
against it by `evalharness check --model`. Of wikitext 20 documents are read, in windows of 1,024 tokens, and not by
every model: it takes minutes. Prints one JSON line a model: verdict, exit code, and by task score, bounds of
the gain and flips.

    python benchmarks/gate/damaged_models.py --data-dir MIRROR --work FOLDER [--only noise rounded] [--keep BASELINES]

`noise`: normal noise on the feed-forward output of one layer. `rounded`: every weight matrix of the layers to four bits
with one scale a row. `tokenizer`: the numbers of neighbouring tokens are swapped. `rope`: a base of 10,000 in place of
100,000. With --keep, each model's runs are kept as baselines in a folder of its own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

NOISE_LAYER, NOISE = 14, 0.9
"""Which layer, and the noise's standard deviation beside that of the weights."""
TASKS = ("arc_easy", "piqa", "hellaswag", "lambada_openai", "wikitext")
PARTS = {"wikitext": ("--sample", 20, "--max-length", 1024)}
WITHOUT_PERPLEXITY = ("rounded", "tokenizer")
"""Models that are not asked wikitext, which takes five minutes: other tasks find them."""


def noise(folder: Path) -> None:
    def change(weights: dict[str, torch.Tensor]) -> None:
        name = f"model.layers.{NOISE_LAYER}.mlp.down_proj.weight"
        random = torch.Generator().manual_seed(0)
        weight = weights[name]
        weights[name] = weight + NOISE * weight.std() * torch.randn(weight.shape, generator=random)

    _rewrite(folder, change)


def rounded(folder: Path) -> None:
    def change(weights: dict[str, torch.Tensor]) -> None:
        for name, weight in weights.items():
            if ".layers." in name and weight.ndim == 2:
                scale = weight.abs().amax(dim=1, keepdim=True) / 7
                weights[name] = (weight / scale).round().clamp(-8, 7) * scale

    _rewrite(folder, change)


def tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    values = json.loads(path.read_text())
    vocabulary = values["model"]["vocab"]
    special = {token["id"] for token in values.get("added_tokens", ())}
    swapped = {number: number ^ 1 for number in vocabulary.values()}
    known = set(vocabulary.values()) - special
    values["model"]["vocab"] = {
        token: swapped[number] if {number, number ^ 1} <= known else number for token, number in vocabulary.items()
    }
    path.write_text(json.dumps(values, ensure_ascii=False))


def rope(folder: Path) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text())
    values["rope_theta"] = 10_000.0
    if "rope_parameters" in values:
        values["rope_parameters"]["rope_theta"] = 10_000.0
    path.write_text(json.dumps(values))


DAMAGES: dict[str, Callable[[Path], None]] = {"noise": noise, "rounded": rounded, "tokenizer": tokenizer, "rope": rope}


def _rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file({name: weight.contiguous() for name, weight in weights.items()}, path, metadata={"format": "pt"})


def evalharness(*arguments: object, codes: tuple[int, ...] = (0,)) -> tuple[int, str]:
    command = [sys.executable, "-m", "evalharness", *map(str, arguments)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode not in codes:
        raise SystemExit(f"{' '.join(command)} ended with {ended.returncode}")
    return ended.returncode, ended.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=["itself", "bfloat16", *DAMAGES])
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    work: Path = options.work
    base, runs = work / "SmolLM2-135M-Instruct", work / "runs"
    if not base.is_dir():
        evalharness("convert", "smollm2", base)
    data = ("--data-dir", options.data_dir, "--quiet")
    for task in TASKS:
        evalharness(
            "run",
            "--task",
            task,
            *PARTS.get(task, ("--sample", 400)),
            "--model",
            base,
            "--output",
            runs / "fp32" / task,
            *data,
        )
    baselines = (options.keep or work / "baselines") / "fp32"
    evalharness("baseline", "save", runs / "fp32", "--to", baselines, "--why", "SmolLM2-135M-Instruct in fp32")
    for name in options.only or ["itself", "bfloat16", *DAMAGES]:
        folder = base
        if name in DAMAGES:
            folder = work / name
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(base, folder)
            DAMAGES[name](folder)
        more = ("--dtype", "bfloat16") if name == "bfloat16" else ()
        if name in WITHOUT_PERPLEXITY:
            more = tuple(word for task in TASKS if task != "wikitext" for word in ("--task", task))
        shutil.rmtree(runs / name, ignore_errors=True)
        code, out = evalharness(
            "check", "--baseline", baselines, "--model", folder, *more, "--output", runs / name, "--json", *data,
            codes=(0, 1, 2, 3, 4),
        )  # fmt: skip
        facts = json.loads(out)
        tasks = {
            one["task"]: {
                key: one.get(key)
                for key in ("verdict", "baseline_score", "candidate_score", "lower", "upper", "margin", "n", "broken")
            }
            for one in facts["tasks"]
        }
        print(json.dumps({"model": name, "verdict": facts["verdict"], "exit_code": code, "tasks": tasks}), flush=True)
        if options.keep:
            evalharness("baseline", "save", runs / name, "--to", options.keep / name, "--why", name)


if __name__ == "__main__":
    main()
