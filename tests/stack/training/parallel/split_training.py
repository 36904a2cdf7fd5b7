"""`split_training.py FOLDER WAY ...`: trainings of several processes that split a model in these ways; prints how they
end. All processes are forks of this one.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
import torch.distributed.fsdp
import torch.distributed.pipelining
import torch.distributed.tensor.parallel
from stack.training.ranks import LONGER, ranks, train

from evalharness.stack.training.parallel import saving

# Once, before the forks (2 s).
assert torch.distributed.fsdp
assert torch.distributed.pipelining
assert torch.distributed.tensor.parallel

LLAMA: dict[str, Any] = {}
"""What `tiny_pretraining` trains."""
MANY_PARTS: dict[str, Any] = {
    "layers": 3,
    "kv_heads": 2,
    "heads": 4,
    "norm": "layer_norm",
    "feed_forward": "gelu",
    "ffn_width": 34,
    "positions": "learned",
    "biases": "all",
    "qk_norm": True,
    "vocab_size": 321,
}
"""Biases, norms of heads, positions with parameters, and rows that do not divide."""
RULES = [{"kind": "embedding", "rate": 0.02}, {"kind": "vector", "rate": 0.005}, {"rate": 0.01}]
"""Of which the middle of three stages has no use for the first."""
EXPERTS: dict[str, Any] = {"experts": 3, "positions": "alibi", "tied_embeddings": True}
"""Without their balance, which is a mean of micro-batches and so another where these are others."""
WAYS: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
    "alone": (1, {}, {}),
    "sharded": (2, {"sharded": True}, {}),
    "tensor": (2, {"tensor": 2}, {}),
    "pipeline": (2, {"pipeline": 2}, {}),
    "parts": (1, {}, {"model": MANY_PARTS}),
    "sharded_parts": (2, {"sharded": True}, {"model": MANY_PARTS}),
    "tensor_parts": (2, {"tensor": 2}, {"model": MANY_PARTS}),
    "pipeline_parts": (2, {"pipeline": 2}, {"model": MANY_PARTS}),
    "rules": (1, {}, {"model": MANY_PARTS, "optimizer": RULES}),
    "pipeline_rules": (3, {"pipeline": 3}, {"model": MANY_PARTS, "optimizer": RULES}),
    "sharded_tensor_parts": (4, {"sharded": True, "tensor": 2}, {"model": MANY_PARTS}),
    "sharded_pipeline_parts": (4, {"sharded": True, "pipeline": 2}, {"model": MANY_PARTS}),
    "tensor_pipeline_parts": (4, {"tensor": 2, "pipeline": 2}, {"model": MANY_PARTS}),
    "three_axes_parts": (8, {"data": 2, "sharded": True, "tensor": 2, "pipeline": 2}, {"model": MANY_PARTS}),
    "experts": (1, {}, {"model": EXPERTS, "balance_loss": 0}),
    "sharded_experts": (2, {"sharded": True}, {"model": EXPERTS, "balance_loss": 0}),
    "tensor_experts": (2, {"tensor": 2}, {"model": EXPERTS, "balance_loss": 0}),
    "again": (1, {}, {"compute": {"recompute": "blocks"}}),
    "sharded_again": (2, {"sharded": True}, {"compute": {"recompute": "blocks"}}),
    "narrow": (1, {}, {"compute": {"precision": "bf16"}}),
    "sharded_narrow": (2, {"sharded": True}, {"compute": {"precision": "bf16"}}),
}
"""By name: processes, the section `parallel`, and what else is not as in `tiny_pretraining`."""
RESUMED = {
    "one_after_sharded": ("sharded", "alone"),
    "sharded_after_one": ("alone", "sharded"),
    "pipeline_after_tensor": ("tensor", "pipeline"),
}
"""A training that goes on from step 10 of the first way, in the second way."""


def given(way: str) -> dict[str, Any]:
    _, parallel, others = WAYS[way]
    return {"data": LONGER, "batch": {"sequences": 8, "micro": 2}, "parallel": parallel, **others}


def trained(folder: Path, name: str, way: str, start: int | None = None) -> list[dict[str, Any]]:
    acts = [partial(train, folder, name, start=start, **given(way)) for _ in range(WAYS[way][0])]
    return ranks(folder, name, *acts)


def in_a_save(folder: Path, name: str, number: int) -> None:
    """The second process does not write its part of the second checkpoint."""
    original, saved = safetensors.torch.save_file, 0

    def save(tensors: Any, path: Path, **named: Any) -> None:
        nonlocal saved
        saved += "state" in path.name
        if saved == 2 and number == 1:
            if name == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            elif name == "hangs":
                time.sleep(4)
            else:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(tensors, path, **named)

    safetensors.torch.save_file = save
    saving.PATIENCE = timedelta(seconds=2)
    train(folder, name, **given("sharded"))


def main(folder: Path, ways: list[str]) -> None:
    ends = {}
    for way in ways:
        if way in ("dies", "hangs", "full"):
            ends[way] = ranks(folder, way, *(partial(in_a_save, folder, way, number) for number in range(2)))
        elif way in RESUMED:
            before, after = RESUMED[way]
            shutil.copytree(folder / before, folder / way)
            ends[way] = trained(folder, way, after, start=10)
        elif way.startswith("after_"):
            name = way.removeprefix("after_")
            ends[way] = trained(folder, name, "sharded")
        else:
            ends[way] = trained(folder, way, way)
    print(json.dumps(ends))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
