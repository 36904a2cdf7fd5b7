"""`evalharness finetune --dry-run`: what a fine-tuning reads and takes, without training or writing anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.cli.training_estimate import Row, memory_rows

if TYPE_CHECKING:
    from evalharness.stack.adaptation.opened import Opened
    from evalharness.stack.adaptation.options import FinetuneOptions
    from evalharness.stack.architectures.decoder import Decoder

PARTS = ("weights", "gradients", "optimizer", "activations", "loss", "working")


def estimate(options: FinetuneOptions, model: Path, base: Path) -> list[str]:
    """Lines that say it; none but in the first process.

    Args:
        model: what `options.model` means.

    Raises:
        TrainingError, CheckpointError: the training could not begin.
    """
    from evalharness.stack.adaptation.opened import open_finetuning
    from evalharness.stack.training.processes import processes
    from evalharness.text_table import columns

    with processes(options.compute.device) as here:
        if not here.first:
            return []
        opened = open_finetuning(options, model, base, here.count)
        return [*opened.told(), *columns(list(_rows(opened, here.count, here.device(options.compute.device).type)))]


def _rows(opened: Opened, processes: int, device: str) -> Iterator[Row]:
    from evalharness.stack.training.schedules import sequences_until

    options = opened.options
    total, there = sequences_until(options.batch, options.steps), sum(map(len, opened.sources.values()))
    what = "pairs" if options.objective.name == "dpo" else "sequences"
    yield "steps", f"{options.steps:,} of {options.batch.sequences:,} {what}"
    yield what, f"{there:,} to train on, {len(opened.held_out):,} held out"
    yield "epochs", f"{total / there:.2f}"
    model = _without_numbers(opened)
    parameters = list(model.parameters())
    yield "parameters", f"{sum(each.numel() for each in parameters):,}"
    yield "  trained", f"{sum(each.numel() for each in parameters if each.requires_grad):,}"
    yield from _memory(model, opened, processes, device)


def _without_numbers(opened: Opened) -> Decoder:
    """The decoder as it is trained, on the meta device."""
    import torch

    from evalharness.stack.adaptation.setup import let_learn
    from evalharness.stack.architectures.decoder import Decoder

    with torch.device("meta"):
        model = Decoder(opened.config)
    let_learn(model, opened.options)
    return model


def _memory(model: Decoder, opened: Opened, processes: int, device: str) -> Iterator[Row]:
    from evalharness.stack.training.costs import DTYPES
    from evalharness.stack.training.estimates import memory

    options = opened.options
    at_once = options.batch.micro or options.batch.sequences // processes
    sequences = 2 * at_once if options.objective.name == "dpo" else at_once
    found = memory(
        model,
        options.optimizer,
        sequences=sequences,
        length=options.data.context,
        dtype=DTYPES[options.compute.precision],
        recompute=options.compute.recompute == "blocks",
        documents=options.data.packing != "none" and options.objective.name == "sft",
        device=device,
    )
    needed = {part: getattr(found, part) for part in PARTS}
    yield from memory_rows(
        needed, f"{sequences:,} x {options.data.context:,} tokens at once; torch itself is not in it"
    )
