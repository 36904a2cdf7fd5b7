"""The embedded SmolLM2 learns to follow a coin: supervised, then by preferences; each step evaluated before and after.

Stopped and started again it goes on where it was.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

import texts

HERE = Path(__file__).parent
CONVERSATIONS, PAIRS = 720, 80
COPIED = ("sft.yaml", "dpo.yaml", "capitals.yaml", "capitals.jsonl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("runs/sft-smollm2"), help="Where everything goes.")
    parser.add_argument("--set", action="append", default=[], help="A change to both YAMLs: batch.micro=1. Repeatable.")
    arguments = parser.parse_args()
    folder, changes = arguments.output, [part for change in arguments.set for part in ("--set", change)]
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.copy(HERE / name, folder)
    texts.write(folder, CONVERSATIONS, PAIRS)
    for name in ("sft", "dpo"):
        began = time.perf_counter()
        command("finetune", folder / f"{name}.yaml", *changes)
        print(f"{name}: {time.perf_counter() - began:.0f} s, evaluation included", flush=True)


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
