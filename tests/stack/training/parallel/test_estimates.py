"""Memory and bytes sent that a dry run tells, by hand for a small model."""

from __future__ import annotations

import pytest
import torch

from evalharness.stack.config import ModelConfig
from evalharness.stack.training.parallel.estimates import Pass, sent, split_memory
from evalharness.stack.training.parallel.options import Division

CONFIG = ModelConfig(
    vocab_size=100,
    width=8,
    layers=4,
    heads=2,
    kv_heads=2,
    head_dim=4,
    ffn_width=16,
    norm_epsilon=1e-5,
    max_length=32,
)
MATRICES, NORMS, AROUND = 4 * 8 * 8 + 3 * 8 * 16, 2 * 8, 2 * 100 * 8 + 8
"""Numbers of a block's matrices and norms, and of what is around the blocks."""
ALL = 4 * (MATRICES + NORMS) + AROUND
BF16 = Pass(sequences=2, length=16, micro_batches=3, dtype=torch.bfloat16)


def test_shards() -> None:
    memory = split_memory(CONFIG, Division(data=4, sharded=True), BF16)
    assert memory["weights"] == memory["gradients"] == 4 * ALL // 4
    assert memory["optimizer"] == 2 * memory["weights"]
    block = MATRICES + NORMS
    assert memory["lent"] == 2 * block * 2 + block * 4 + 2 * AROUND * 4


def test_parts_of_matrices() -> None:
    whole, half = (split_memory(CONFIG, Division(tensor=parts), BF16) for parts in (1, 2))
    assert whole["weights"] == 4 * ALL
    assert half["weights"] == 4 * (4 * (MATRICES // 2 + NORMS) + AROUND)
    assert half["lent"] == 0
    assert whole["activations"] / 2 < half["activations"] < whole["activations"]


def test_stages() -> None:
    memory = split_memory(CONFIG, Division(pipeline=2), BF16)
    assert memory["weights"] in (4 * (2 * (MATRICES + NORMS) + 800), 4 * (2 * (MATRICES + NORMS) + 808))


def test_bytes_sent() -> None:
    blocks = 4 * (MATRICES + NORMS)
    assert sent(CONFIG, Division(data=2), BF16) == {"data": 4 * ALL, "tensor": 0, "pipeline": 0}
    sharded = sent(CONFIG, Division(data=2, sharded=True), BF16)
    assert sharded["data"] == 3 * (2 * 2 * blocks + 4 * AROUND + 4 * ALL) // 2
    hidden = 3 * 2 * 16 * 8
    assert sent(CONFIG, Division(tensor=2), BF16)["tensor"] == 4 * 4 * 2 * 2 * hidden // 2
    assert sent(CONFIG, Division(pipeline=4), BF16)["pipeline"] == pytest.approx(4 * hidden)
