"""A model of bytes from one text: learn nine tenths, ask the harness about the rest, write a little of its own.

Stopped and started again it goes on where it was.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import sample

HERE = Path(__file__).parent
HELD_OUT = 0.1
"""Share of the text, at its end."""
PASSAGE = 2_000
"""Characters of a passage at least; it ends with a paragraph."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path, required=True, help="A text in UTF-8, also .gz.")
    parser.add_argument("--output", type=Path, default=Path("runs/shakespeare"), help="Where everything goes.")
    parser.add_argument("--prompt", default="ROMEO:\n", help="What the sample begins with.")
    parser.add_argument("--set", action="append", default=[], help="A change to train.yaml: steps=100. Repeatable.")
    arguments = parser.parse_args()
    began = time.perf_counter()
    folder = arguments.output
    write(arguments.texts, folder)
    for path in HERE.glob("*.yaml"):
        shutil.copy(path, folder)
    for name in ("corpus.yaml", "held_out_corpus.yaml"):
        command("corpus", "build", folder / name)
    changes = [part for change in arguments.set for part in ("--set", change)]
    command("pretrain", folder / "train.yaml", *changes)
    checkpoint = max((folder / "training" / "checkpoints").glob("step-*[0-9]"))
    print(told(folder / "training"))
    print(f"\n{arguments.prompt}{sample.drawn(checkpoint, arguments.prompt)}")
    print(f"\n{time.perf_counter() - began:.0f} s in all; {folder}")


def write(path: Path, folder: Path) -> None:
    """Cut the text into what is learned and what is held out; the latter also in passages, as a task reads it."""
    text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode("utf-8")
    at = int(len(text) * (1 - HELD_OUT))
    at = max(at, text.find("\n\n", at) + 2)
    learned, held_out = text[:at], text[at:]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "learned.txt").write_text(learned, encoding="utf-8")
    (folder / "held_out.txt").write_text(held_out, encoding="utf-8")
    lines = (json.dumps({"text": passage}) + "\n" for passage in passages(held_out))
    (folder / "held_out.jsonl").write_text("".join(lines), encoding="utf-8")


def passages(text: str) -> list[str]:
    """The text in pieces that end where a paragraph does."""
    found, begin = [], 0
    while (end := text.find("\n\n", begin + PASSAGE)) >= 0:
        found.append(text[begin:end])
        begin = end + 2
    return [*found, text[begin:]]


def told(training: Path) -> str:
    """What the harness says of the last checkpoint."""
    row = json.loads((training / "evaluations.jsonl").read_text().splitlines()[-1])
    score = row["tasks"]["held_out"]["metrics"]["bits_per_byte"]
    # One passage has no interval.
    ends = "" if score["low"] is None else f", 95 %: {score['low']:.3f} to {score['high']:.3f}"
    return f"held out, {score['n']} passages: {score['value']:.3f} bits a byte{ends}, after {row['step']} steps"


def command(*arguments: object) -> None:
    """Run the harness's command.

    Raises:
        SystemExit: it failed, and has said why.
    """
    ended = subprocess.run([sys.executable, "-m", "evalharness", *map(str, arguments)], check=False)
    if ended.returncode:
        raise SystemExit(ended.returncode)


if __name__ == "__main__":
    main()
