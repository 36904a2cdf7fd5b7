"""`evalharness pretrain --dry-run`: what a training will take, without training or writing anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from evalharness.stack.architectures.decoder import Decoder
    from evalharness.stack.architectures.encoder_decoder import EncoderDecoder
    from evalharness.stack.architectures.mamba import Mamba
    from evalharness.stack.training.data import BatchSource
    from evalharness.stack.training.options import PretrainOptions
    from evalharness.stack.training.parallel.estimates import Pass
    from evalharness.stack.training.parallel.options import Division

LONGEST_TRIAL = 5.0
"""Seconds at the machine's peak beyond which a micro-batch is not tried: it would take many times that."""

Row = tuple[str, str]


def estimate(options: PretrainOptions, base: Path) -> list[str]:
    """Lines that say it; none but in the first process.

    Raises:
        TrainingError, CorpusError, CheckpointError: the training could not begin.
    """
    from evalharness.stack.training.processes import processes
    from evalharness.text_table import columns

    with processes(options.compute.device) as here:
        division = options.parallel.planned() or options.parallel.division(here.count)
        return columns(list(_plan(options, base, division).rows())) if here.first else []


def _plan(options: PretrainOptions, base: Path, division: Division) -> _Plan:
    import torch

    from evalharness.stack.training.models import shaped
    from evalharness.stack.training.processes import Processes
    from evalharness.stack.training.setup import open_data, set_arithmetic

    here = Processes(count=division.processes, division=division)
    device = here.device(options.compute.device)
    set_arithmetic(options.compute)
    _, config, source = open_data(options, base, here)
    if division.splits:
        from evalharness.stack.training.parallel.training import checked

        checked(options, config, division)
    with torch.device("meta"):
        model = shaped(config)
    return _Plan(options, model, source, device, division)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A training, without its numbers."""

    options: PretrainOptions
    model: Decoder | EncoderDecoder | Mamba
    source: BatchSource
    device: torch.device
    division: Division

    @property
    def processes(self) -> int:
        return self.division.processes

    @property
    def micro(self) -> int:
        """The most sequences that a process computes at once."""
        batch = self.options.batch
        largest = max([batch.sequences, *(stage.sequences for stage in batch.ramp)])
        return batch.micro or largest // self.division.data

    def rows(self) -> Iterator[Row]:
        from evalharness.stack.training.estimates import parameters_by_part

        parts = parameters_by_part(self.model)
        yield "parameters", f"{sum(parts.values()):,}"
        for part, count in parts.items():
            if count:
                yield f"  {part}", f"{count:,}"
        yield from self._data()
        yield from self._processes()
        yield from self._room()
        yield from self._time()

    def _data(self) -> Iterator[Row]:
        from evalharness.stack.training.schedules import sequences_until

        options, source = self.options, self.source
        total, there = sequences_until(options.batch, options.steps), sum(source.sequences.values())
        later = ", ".join(f"{stage.sequences:,} from step {stage.from_step:,} on" for stage in options.batch.ramp)
        yield "steps", f"{options.steps:,} of {options.batch.sequences:,} sequences{', ' + later if later else ''}"
        yield "tokens", f"{total * options.data.context:,} in {total:,} sequences of {options.data.context:,}"
        yield "corpus", f"{there:,} sequences to train on, {source.held_out:,} for validation"
        for name, count in source.sequences.items() if len(source.sequences) > 1 else ():
            yield f"  {name}", f"{count:,} sequences"
        yield "epochs", f"{total / there:.2f}"

    def _processes(self) -> Iterator[Row]:
        if not self.division.splits:
            return
        from evalharness.stack.training.parallel.estimates import sent

        axes = self.division
        yield "processes", f"{self.processes:,}: data {axes.data} x tensor {axes.tensor} x pipeline {axes.pipeline}"
        yield "sent by each", "in a step, by the first stage"
        for axis, size in sent(self.model.config, axes, self._pass()).items():  # type: ignore[arg-type]
            if size:
                yield f"  {axis}", _bytes(size)

    def _pass(self) -> Pass:
        """What a process of a model that is split computes at once."""
        from evalharness.stack.training.costs import DTYPES
        from evalharness.stack.training.parallel.estimates import Pass

        options = self.options
        return Pass(
            self.micro,
            options.data.context,
            options.batch.sequences // self.division.data // self.micro,
            DTYPES[options.compute.precision],
            recompute=options.compute.recompute == "blocks",
            documents=options.data.boundaries,
            device=self.device.type,
        )

    def _room(self) -> Iterator[Row]:
        from evalharness.stack.training.estimates import checkpoint_bytes

        options = self.options
        at_once = f"{self.micro:,} x {options.data.context:,} tokens at once"
        beside = ", nor what a checkpoint is written of beside the training" if options.checkpoints.beside else ""
        yield from memory_rows(self._memory(), f"{at_once}; torch itself is not in it{beside}")
        size, keep = checkpoint_bytes(self.model, options.optimizer), options.checkpoints.keep
        written = -(-options.steps // options.checkpoints.every)
        kept = min(written, keep.last + (options.steps // keep.every if keep.every else 0))
        all_of_them = _bytes((kept + 1) * size)
        yield "checkpoints", f"{_bytes(size)} each; {all_of_them} with {kept:,} kept and one being written"

    def _memory(self) -> dict[str, int]:
        """Bytes by part."""
        if self.division.splits:
            from evalharness.stack.training.parallel.estimates import split_memory

            return dict(split_memory(self.model.config, self.division, self._pass()))  # type: ignore[arg-type]
        from evalharness.stack.training.costs import memory_of

        needed = memory_of(self.model, self.options, self.source.objective, self.micro, self.device.type)
        parts = ("weights", "gradients", "optimizer", "activations", "loss", "working")
        return {part: getattr(needed, part) for part in parts}

    def _time(self) -> Iterator[Row]:
        from evalharness.stack.training.costs import DTYPES, operations_of
        from evalharness.stack.training.estimates import training_seconds
        from evalharness.stack.training.peaks import machine_peak
        from evalharness.stack.training.schedules import sequences_until

        options, context = self.options, self.options.data.context
        counted = operations_of(self.model, options, self.source.objective)
        peak = machine_peak(self.device, DTYPES[options.compute.precision])
        together = peak.operations_per_second * self.processes
        tokens = sequences_until(options.batch, options.steps) * context
        least = training_seconds(tokens, counted.needed + counted.recomputed, together)
        yield "operations", f"{_short(counted.needed)} a token, {_short(counted.needed * tokens)} in all"
        yield "peak", f"{_short(peak.operations_per_second)} a second: {peak.meaning}"
        yield "time at the peak", f"{_time(least)}, which no program undercuts"
        one = training_seconds(self.micro * context, counted.needed, peak.operations_per_second)
        total = sum(self._memory().values())
        if self.division.splits:
            yield "time as tried", "not tried, since a process has a part of the model alone"
        elif one > LONGEST_TRIAL:
            yield "time as tried", f"not tried, since {self.micro:,} sequences take more than {_time(one)}"
        elif total > _free(self.device):
            yield "time as tried", f"not tried, since {_bytes(total)} are not free here"
        else:
            rate = self._rate()
            share = rate * counted.needed / together
            yield "time as tried", f"{_time(tokens / rate)}, at {rate:,.0f} tokens a second ({share:.0%} of the peak)"
            yield "", "by forward and backward passes alone; optimizers, evaluation and saving come on top"

    def _rate(self) -> float:
        """Tokens a second of all processes."""
        from evalharness.stack.training.costs import random_batch
        from evalharness.stack.training.models import build_model
        from evalharness.stack.training.trial import seconds_of_a_pass

        model = build_model(self.options, self.model.config, self.device)
        batch = random_batch(self.model, self.options, self.source.objective, self.micro)
        tokens = self.micro * self.options.data.context * self.processes
        return tokens / seconds_of_a_pass(model, batch, self.device)


def memory_rows(needed: Mapping[str, int], with_what: str) -> Iterator[Row]:
    """Of bytes by part."""
    yield "memory", f"{_bytes(sum(needed.values()))} a process, with {with_what}"
    for part, size in needed.items():
        yield f"  {part}", _bytes(size)


def _free(device: torch.device) -> int:
    """Bytes of memory."""
    import psutil
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def _bytes(size: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size:,} bytes"


def _short(number: float) -> str:
    for unit, factor in (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if number >= factor:
            return f"{number / factor:,.1f} {unit}"
    return f"{number:,.0f}"


def _time(seconds: float) -> str:
    for unit, factor in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * factor:
            return f"{seconds / factor:,.1f} {unit}"
    return f"{seconds:,.1f} seconds"
