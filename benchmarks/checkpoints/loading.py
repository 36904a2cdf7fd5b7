"""Loading and saving a Llama of about 1 GB, beside plain reading and writing of the same bytes, and transformers.

    python benchmarks/checkpoints/loading.py [--folder DISK] [--rounds 3]

The weights are random, in fp32. Each measurement has a new process and leaves imports out; the sides take turns, and
medians are told. Before a file is read, the system is told to forget it; a load is over when every page of the weights
was touched, since a file that is mapped is read no sooner. What is written is over when it is on the disk (fsync).
Memory is the process's peak meanwhile, less what it had before and, in loading, less the weights. Prints one JSON line.
Linux only; needs transformers. `--cached` leaves the file in memory.
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
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

LAYERS, WIDTH, INNER, VOCABULARY = 11, 1024, 4096, 32_000
BLOCK = 8 << 20
"""Bytes that plain reading and writing move at once."""
PAGE = 4096
Measured = dict[str, float]


# --------------------------------------------------------------------------- one side, in a process of its own


def resident(key: str) -> int:
    """Bytes of this process: ``VmRSS`` now, ``VmHWM`` at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


def measured(work: Callable[[], Any], expected: int) -> Measured:
    """Seconds of some work, those of the processor, and the MB that it took at most beyond the bytes expected."""
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    begin, cpu = time.perf_counter(), time.process_time()
    kept = work()
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu
    extra = resident("VmHWM") - before - expected
    del kept
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "extra_mb": extra / 1e6}


def weights_file(folder: Path) -> Path:
    return folder / "model.safetensors"


def read(folder: Path) -> Measured:
    def work() -> None:
        block = bytearray(BLOCK)
        with weights_file(folder).open("rb", buffering=0) as file:
            while file.readinto(block):
                pass

    return measured(work, 0)


def touch(model: Any) -> Any:
    """Read a number of every page of the weights."""
    for parameter in model.parameters():
        parameter.detach().flatten()[:: PAGE // 4].sum()
    return model


def our_load(folder: Path) -> Measured:
    from evalharness.stack.architectures import decoder  # noqa: F401 - imports are not measured
    from evalharness.stack.checkpoints.load import load_model

    return measured(lambda: touch(load_model(folder)[0]), weights_file(folder).stat().st_size)


def their_load(folder: Path) -> Measured:
    import torch
    from transformers import LlamaForCausalLM

    return measured(
        lambda: touch(LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)),
        weights_file(folder).stat().st_size,
    )


def synchronised(folder: Path) -> None:
    """See that what is in a folder is on the disk."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def write(folder: Path, target: Path) -> Measured:
    content = weights_file(folder).read_bytes()

    def work() -> None:
        with weights_file(target).open("wb", buffering=0) as file:
            for place in range(0, len(content), BLOCK):
                file.write(memoryview(content)[place : place + BLOCK])
        synchronised(target)

    return measured(work, 0)


def our_save(folder: Path, target: Path) -> Measured:
    from evalharness.stack.checkpoints.load import load_model
    from evalharness.stack.checkpoints.save import save_model

    model, config = load_model(folder)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def work() -> None:
        save_model(target, config, weights, None)
        synchronised(target)

    return measured(work, 0)


def their_save(folder: Path, target: Path) -> Measured:
    import torch
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()

    def work() -> None:
        model.save_pretrained(target)
        synchronised(target)

    return measured(work, 0)


LOADS = {"read": read, "ours": our_load, "transformers": their_load}
SAVES = {"write": write, "ours": our_save, "transformers": their_save}


# --------------------------------------------------------------------------- all of them


def make(folder: Path) -> None:
    """The checkpoint, as our own writer writes it."""
    import torch

    from evalharness.stack.architectures.decoder import Decoder
    from evalharness.stack.checkpoints.save import save_model
    from evalharness.stack.config import ModelConfig

    config = ModelConfig(
        architecture="llama",
        vocab_size=VOCABULARY,
        width=WIDTH,
        layers=LAYERS,
        heads=WIDTH // 64,
        kv_heads=WIDTH // 64,
        head_dim=64,
        ffn_width=INNER,
        norm_epsilon=1e-5,
        max_length=2048,
    )
    torch.manual_seed(0)
    model = Decoder(config)
    torch.nn.init.normal_(model.embedding.weight)
    save_model(folder, config, model.state_dict(), None)
    synchronised(folder)


def forget(path: Path) -> None:
    """Take a file out of the system's cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def in_a_process(*words: str) -> Measured:
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    ended = subprocess.run(
        [sys.executable, __file__, *words], check=True, capture_output=True, text=True, env=environment
    )
    found: Measured = json.loads(ended.stdout.splitlines()[-1])
    return found


def turned(sides: Iterable[str], number: int) -> list[str]:
    """The sides in the order of a round, as none is always the first."""
    order = list(sides)
    return order[number % len(order) :] + order[: number % len(order)]


def medians(rounds: list[dict[str, Measured]]) -> dict[str, dict[str, float]]:
    return {
        side: {key: round(statistics.median(one[side][key] for one in rounds), 3) for key in found}
        for side, found in rounds[0].items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the disk is that is read and written; a temporary one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cached", action="store_true", help="leave the file in the system's cache")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        kind, side, *folders = arguments.one
        print(json.dumps((LOADS if kind == "load" else SAVES)[side](*map(Path, folders))))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        source, target = Path(name) / "source", Path(name) / "target"
        source.mkdir()
        make(source)
        loads: list[dict[str, Measured]] = []
        saves: list[dict[str, Measured]] = []
        in_a_process("--one", "load", "read", str(source))  # the disk of a virtual machine has a cache of its own
        for number in range(arguments.rounds):
            loads.append({})
            for side in turned(LOADS, number):
                if not arguments.cached:
                    forget(weights_file(source))
                loads[-1][side] = in_a_process("--one", "load", side, str(source))
            saves.append({})
            for side in turned(SAVES, number):
                target.mkdir()
                saves[-1][side] = in_a_process("--one", "save", side, str(source), str(target))
                for path in target.iterdir():
                    path.unlink()
                target.rmdir()
        loaded, saved = medians(loads), medians(saves)
        print(
            json.dumps(
                {
                    "gigabytes": round(weights_file(source).stat().st_size / 1e9, 3),
                    "load": loaded,
                    "load_ratio": round(loaded["read"]["seconds"] / loaded["ours"]["seconds"], 2),
                    "save": saved,
                    "save_ratio": round(saved["write"]["seconds"] / saved["ours"]["seconds"], 2),
                    "rounds": arguments.rounds,
                    "load_average": round(os.getloadavg()[0], 2),
                }
            )
        )


if __name__ == "__main__":
    main()
