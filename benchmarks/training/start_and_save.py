"""How soon a training takes its first step, and how long it waits for its checkpoints.

    python benchmarks/training/start_and_save.py FOLDER/train.yaml [--steps 100]

The YAML is a recipe's whose corpus is there (`examples/*/run.py` makes it); the training goes into a folder of its own
and is not evaluated. Prints one JSON line: seconds from the end of `import torch` to the end of the first step, with
all imports of the trainer's own, reading the corpus and building the model; seconds a step; and the share of the whole
time that the training stood still for its checkpoints at the YAML's interval, written beside it and not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--one", choices=("beside", "waiting"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(arguments.config, arguments.steps, beside=arguments.one == "beside")))
        return
    print(json.dumps({how: _in_a_process(arguments, how) for how in ("beside", "waiting")}))


def _in_a_process(arguments: argparse.Namespace, how: str) -> dict[str, Any]:
    """As each training begins: in a new process."""
    command = [sys.executable, __file__, str(arguments.config), "--steps", str(arguments.steps), "--one", how]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def measured(config: Path, steps: int, *, beside: bool) -> dict[str, Any]:
    """Train so many steps."""
    import torch  # noqa: F401

    imported = time.perf_counter()
    from evalharness.cli.pretrain import read_options
    from evalharness.stack.training.loop import Event, Loop
    from evalharness.stack.training.processes import processes
    from evalharness.stack.training.setup import Training

    with tempfile.TemporaryDirectory() as folder:
        changes = {"folder": folder, "steps": steps, "log_every": 1, "checkpoints.beside": str(beside).lower()}
        options, _ = read_options(config, [f"{key}={value}" for key, value in changes.items()])
        times: list[float] = []

        def tell(event: Event) -> None:
            if "loss" in event:
                times.append(time.perf_counter())

        with processes(options.compute.device) as here:
            training = Training(options, config.resolve().parent, here)
            Loop(training, None, tell).run()
        ended = time.perf_counter()
    return {
        "first_step_s": round(times[0] - imported, 2),
        "step_s": round((times[-1] - times[0]) / (len(times) - 1), 4),
        "checkpoint_every": options.checkpoints.every,
        "waited_for_checkpoints": round(training.saver.seconds / (ended - times[0]), 4),
    }


if __name__ == "__main__":
    main()
