"""What a training that is divided among processes takes of each: memory, and bytes that it sends.

Nothing is started: the part of a model that a process has is made on the meta device and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.config import ModelConfig
from evalharness.stack.training.estimates import WIDE, memory_with
from evalharness.stack.training.groups import DEFAULT_RULES
from evalharness.stack.training.parallel.options import Division
from evalharness.stack.training.parallel.stage import blocks_of, keep_stage
from evalharness.stack.training.saved import activations

ADAM = 2
"""Numbers that it keeps for each parameter; other optimizers are not split."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What a process computes at once, and how."""

    sequences: int
    length: int
    micro_batches: int
    """Of a step, in each part of the data."""
    dtype: torch.dtype = torch.float32
    """Of the products of matrices."""
    recompute: bool = False
    documents: bool = False
    device: str = "cpu"
    """Whose size of chunks the loss has: ``cpu`` or ``cuda``."""

    @property
    def tokens(self) -> int:
        return self.sequences * self.length


def split_memory(config: ModelConfig, division: Division, passed: Pass) -> Mapping[str, int]:
    """Bytes by part on the device of the process that needs most: of the first stage or the last one.

    As `estimates.Memory`, and ``lent``: weights and gradients that a process has whole for a while. Sharded without a
    pipeline these are two blocks' weights, one block's gradients, and both of what is around the blocks; in a pipeline
    all of its stage's, since gradients are summed up over micro-batches before they are sent.
    """
    stages = [_memory(config, division, passed, stage) for stage in sorted({0, division.pipeline - 1})]
    return max(stages, key=lambda memory: sum(memory.values()))


def _memory(config: ModelConfig, division: Division, passed: Pass, stage: int) -> Mapping[str, int]:
    blocks, around = _numbers(config, division, stage)
    block = max(blocks)
    own = (sum(blocks) + around) * WIDE // division.data
    cut = _cut(config, division.tensor)
    saved = activations(
        replace(cut, layers=len(blocks), windows=cut.windows[: len(blocks)]),
        passed.sequences,
        passed.length,
        passed.dtype,
        recompute=passed.recompute,
        documents=passed.documents,
    )
    if division.data > 1:  # weights are sent in the dtype of the products, so that autocast makes no copies
        saved = saved._replace(copies=0)
    with torch.device("meta"):
        rest = memory_with(
            Decoder(replace(cut, layers=1, windows=cut.windows[:1])),
            DEFAULT_RULES,
            saved,
            rows=passed.tokens,
            dtype=passed.dtype,
            device=passed.device,
        )
    lent = 0
    if division.data > 1:
        gathered, summed = (sum(blocks), sum(blocks)) if division.pipeline > 1 else (2 * block, block)
        lent = gathered * passed.dtype.itemsize + summed * WIDE + 2 * around * WIDE
    flying = min(division.pipeline - stage, passed.micro_batches)
    handed = passed.tokens * config.width * WIDE * passed.micro_batches if division.pipeline > 1 else 0
    last = stage == division.pipeline - 1
    return {
        "weights": own,
        "gradients": own,
        "optimizer": ADAM * own,
        "lent": lent,
        "activations": saved.kept * flying + handed,
        "loss": rest.loss if last else 0,
        "working": rest.working if last else saved.again + saved.largest,
    }


def sent(config: ModelConfig, division: Division, passed: Pass) -> Mapping[str, int]:
    """Bytes that a process of the first stage sends in a step, by axis, where sums and gatherings go around in rings: a
    part of n of a tensor to n - 1 others, twice where it is a sum that all get.

    - ``data``, sharded: the blocks' weights before each forward and each backward pass of a micro-batch and what is
      around them once, and all gradients in fp32 after it; in a pipeline each once a step. Unsharded: the sum of the
      gradients.
    - ``tensor``: for each block and micro-batch two sums of the hidden states forward and two backward, in the dtype of
      the products; where blocks are computed again, two more.
    - ``pipeline``: for each micro-batch the hidden states in fp32, and their gradients coming back are as many.
    """
    blocks, around = _numbers(config, division, 0)
    times = 1 if division.pipeline > 1 else passed.micro_batches
    weights = 2 * sum(blocks) * passed.dtype.itemsize + around * WIDE
    gradients = (sum(blocks) + around) * WIDE
    of_data = times * (weights + gradients) if division.splits else 2 * gradients
    hidden = passed.tokens * config.width * passed.micro_batches
    sums = len(blocks) * (6 if passed.recompute else 4)
    return {
        "data": of_data * (division.data - 1) // division.data,
        "tensor": 2 * sums * hidden * passed.dtype.itemsize * (division.tensor - 1) // division.tensor,
        "pipeline": hidden * WIDE if division.pipeline > 1 else 0,
    }


def _numbers(config: ModelConfig, division: Division, stage: int) -> tuple[list[int], int]:
    """Numbers that the processes of a stage with the same part of each matrix learn: of each block, and around them."""
    with torch.device("meta"):
        decoder = Decoder(_cut(config, division.tensor))
        if division.pipeline > 1:
            keep_stage(decoder, stage, division.pipeline)
    blocks = [_count(block) for block in decoder.blocks]
    assert len(blocks) == len(blocks_of(stage, division.pipeline, config.layers))
    return blocks, _count(decoder) - sum(blocks)


def _cut(config: ModelConfig, parts: int) -> ModelConfig:
    """What one of so many processes has of each block."""
    return replace(
        config,
        heads=config.heads // parts,
        kv_heads=config.kv_heads // parts,
        ffn_width=config.ffn_width // parts,
    )


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
