"""A pretraining whose model is split over processes: the same parts as any, each for what this process has of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.initial import initial_weights
from evalharness.stack.architectures.options import ModelOptions
from evalharness.stack.config import ModelConfig
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.groups import group_parameters
from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.models import TrainedConfig
from evalharness.stack.training.objectives import AnyBatch, Batch
from evalharness.stack.training.optimizers import make_optimizers
from evalharness.stack.training.options import PretrainOptions
from evalharness.stack.training.parallel.options import Division
from evalharness.stack.training.parallel.saving import SharedSaver
from evalharness.stack.training.parallel.split import Split
from evalharness.stack.training.parallel.stage import check_stages
from evalharness.stack.training.parallel.state import capture_parts, gather_weights, restore_parts
from evalharness.stack.training.parallel.tensor import check_divides
from evalharness.stack.training.processes import Processes
from evalharness.stack.training.schedules import BatchOptions
from evalharness.stack.training.setup import Training, open_data, set_arithmetic

WHOLE_MATRICES = ("muon", "adafactor")
"""Optimizers whose update of a number depends on others of its matrix."""


class SplitTraining(Training):
    """As `Training`; `model` is the `Split`, and `decoder` the whole decoder on the meta device.

    Raises:
        TrainingError: as `Training`, or the model or its optimizers cannot be divided so.
    """

    inner: Split
    config: ModelConfig

    def __init__(self, options: PretrainOptions, base: Path, processes: Processes) -> None:
        super(Training, self).__init__(options, base, processes)
        assert processes.division is not None
        assert processes.mesh is not None
        self.division = processes.division
        self.tokenizer, config, self.source = open_data(options, base, processes)
        self.config = checked(options, config, self.division)
        set_arithmetic(options.compute)
        with torch.device("meta"):
            self.decoder = Decoder(self.config)
            model = TrainingModel(
                Decoder(self.config),
                z_loss=options.z_loss,
                balance_loss=options.balance_loss,
                embedding_gradient=options.embedding_gradient,
                dtype=self.dtype,
                recompute=options.compute.recompute == "blocks",
            )
        self._shapes = {name: parameter.shape for name, parameter in self.decoder.named_parameters()}
        self.inner = Split(model, self.division, processes.mesh, self.device, self.dtype)
        self._begin()
        self._ready()

    @property
    def saves(self) -> bool:
        return True

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """What this process has of each parameter that it has a part of."""
        return self.inner.named_parts()

    def reset(self) -> None:
        self._begin()
        for optimizer in self.optimizers:
            optimizer.state.clear()

    def validation(self, sequences: int) -> list[AnyBatch]:
        """As many batches in every process, since all take part in each pass; some may have no weight."""
        batches = super().validation(sequences)
        most = -(-sequences // self.division.data)
        missing = -(-most // self.micro(self.options.batch.sequences)) - len(batches)
        return batches + missing * [weightless(self.length)]

    def capture(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
        parts, rank = self.inner.parts, self.processes.rank
        weights = gather_weights(parts, self._shapes, self.division, rank)
        return weights, *capture_parts(parts, self.optimizers, self._shapes, self.division, rank)

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> list[str]:
        return restore_parts(tensors, facts, self.inner.parts, self.optimizers, self._shapes)

    def _take(self, weights: Mapping[str, Tensor]) -> None:
        for part in self.inner.parts:
            part.put(weights[part.name])

    def _begin(self) -> None:
        assert isinstance(self.decoder, Decoder)
        assert isinstance(self.options.model, ModelOptions)
        by_name = {part.name: part for part in self.inner.parts}
        # Every process draws all numbers, one parameter at a time, so that it begins as one alone does.
        for name, whole in initial_weights(self.decoder, self.options.seed, self.options.model.initial_deviation):
            if name in by_name:
                by_name[name].put(whole)

    def _wrapped(self) -> nn.Module:
        return self.inner

    def _new_optimizers(self) -> list[Optimizer]:
        group_parameters(self.decoder.named_parameters(), self.options.optimizer)
        return make_optimizers(self.named_parameters(), self.options.optimizer, some=True)

    def _new_saver(self) -> SharedSaver:
        return SharedSaver(self.store, self.processes, beside=self.options.checkpoints.beside)


def checked(options: PretrainOptions, config: TrainedConfig, division: Division) -> ModelConfig:
    """The configuration of a model that can be divided so.

    Raises:
        TrainingError: it cannot.
    """
    if not isinstance(config, ModelConfig):
        raise TrainingError("parallel: only decoders are split over processes; leave data unsharded.")
    for rule in options.optimizer:
        if rule.name in WHOLE_MATRICES:
            raise TrainingError(
                f"optimizer: {rule.name} needs whole matrices, and parallel splits them over processes; take adamw, or "
                "sharded: false with tensor: 1 and pipeline: 1."
            )
    if options.compute.compile:
        raise TrainingError(
            "compute.compile: a model that parallel splits over processes is not compiled; set compile: false."
        )
    if division.tensor > 1:
        check_divides(config, division.tensor)
    if division.pipeline > 1:
        check_stages(config, division.pipeline, options.balance_loss)
        check_micro_batches(options.batch, division)
    return config


def check_micro_batches(batch: BatchOptions, division: Division) -> None:
    """Raises:
    TrainingError: there are not enough micro-batches to keep the stages of a pipeline busy.
    """
    if batch.micro is None:
        raise TrainingError("parallel.pipeline: give batch.micro, the sequences that pass through the stages at once.")
    for sequences in (batch.sequences, *(stage.sequences for stage in batch.ramp)):
        count = sequences // division.data // batch.micro
        if count < division.pipeline:
            raise TrainingError(
                f"parallel.pipeline: {sequences} sequences make {count} micro-batches of {batch.micro} in each of "
                f"{division.data} parts of the data, and {division.pipeline} stages need as many; take a smaller micro."
            )


def weightless(length: int) -> Batch:
    """A sequence that counts nothing."""
    ids_BT = torch.zeros(1, length, dtype=torch.long)
    return Batch(ids_BT, ids_BT, torch.zeros(1, length), torch.arange(length), None, None)
