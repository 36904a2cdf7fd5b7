"""Checkpoint folders that a trainer writes: which of them are whole.

Any trainer that writes Hugging Face folders will do. One is whole when its ``config.json`` is there, every weight file
is as long as its own header says, and nothing in it has changed for a while.
"""

from __future__ import annotations

import json
import re
import struct
import time
from collections.abc import Collection
from pathlib import Path

INDEX = "model.safetensors.index.json"
_LONGEST_HEADER = 100_000_000
"""Bytes; the safetensors format allows no more."""


def waiting(folder: Path, done: Collection[str], settle: float) -> list[Path]:
    """Whole checkpoints below a folder (or the folder itself) that are not done yet, in the order of their steps.

    Args:
        done: names of checkpoints, as `name_of` gives them.
        settle: seconds for which nothing may have changed.
    """
    places = {path.parent for path in folder.rglob("config.json")}
    found = [place for place in places if name_of(place, folder) not in done and finished(place, settle)]
    return sorted(found, key=_order)


def name_of(checkpoint: Path, folder: Path) -> str:
    """A checkpoint's name in a trend: its path below the watched folder."""
    return checkpoint.name if checkpoint == folder else str(checkpoint.relative_to(folder))


def finished(checkpoint: Path, settle: float) -> bool:
    """Whether a folder holds a whole checkpoint that nobody is writing any more."""
    try:
        files = [path for path in checkpoint.iterdir() if path.is_file()]
        weights = _weights(checkpoint)
        if not weights or not all(path.is_file() and _whole(path) for path in weights):
            return False
        json.loads((checkpoint / "config.json").read_bytes())
        return time.time() - max(path.stat().st_mtime for path in files) >= settle
    except (OSError, ValueError):
        return False  # half written, or moved away meanwhile


def _weights(checkpoint: Path) -> list[Path]:
    if (checkpoint / INDEX).is_file():
        names = set(json.loads((checkpoint / INDEX).read_bytes())["weight_map"].values())
        return [checkpoint / name for name in sorted(names)]
    return sorted(checkpoint.glob("*.safetensors"))


def _whole(path: Path) -> bool:
    """Whether a safetensors file ends where its header says: 8 bytes of length, the header, the tensors."""
    with path.open("rb") as file:
        raw = file.read(8)
        if len(raw) < 8 or (length := struct.unpack("<Q", raw)[0]) > _LONGEST_HEADER:
            return False
        header = json.loads(file.read(length))
    end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
    return bool(path.stat().st_size == 8 + length + end)


def _order(checkpoint: Path) -> tuple[list[int], str]:
    """By the numbers in the name, so that step 1000 comes after step 200; then by name."""
    return [int(digits) for digits in re.findall(r"\d+", checkpoint.name)], str(checkpoint)
