"""The YAML of a pretraining: what is trained, on what, how, and what is kept of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from evalharness.stack.architectures.model_options import AnyModelOptions
from evalharness.stack.corpus.options import Section
from evalharness.stack.training.checkpoints import KeepOptions
from evalharness.stack.training.data import DataOptions
from evalharness.stack.training.groups import DEFAULT_RULES, OptimizerRule
from evalharness.stack.training.objective_kinds import AnyObjectiveOptions
from evalharness.stack.training.objectives import ObjectiveOptions
from evalharness.stack.training.parallel.options import ParallelOptions
from evalharness.stack.training.schedules import BatchOptions, ScheduleOptions
from evalharness.stack.training.spikes import SpikeOptions


class CheckpointOptions(Section):
    """When checkpoints are written, and which of them stay."""

    every: int = Field(default=500, ge=1)
    """Steps; the last one is always written."""
    keep: KeepOptions = KeepOptions()
    beside: bool = True
    """Written by a thread from a copy while the training goes on; else it waits."""


class ComputeOptions(Section):
    """How the arithmetic is done."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    """``bf16``: products of matrices in bf16 (autocast); weights, norms, losses and optimizers stay in fp32."""
    recompute: Literal["none", "blocks"] = "none"
    """``blocks``: of each block only its input is kept, and the rest computed again in the backward pass (activation
    checkpointing, Chen et al. 2016, arXiv 1604.06174): about a third more work for far less memory."""
    compile: bool = False
    """torch.compile: minutes at the start, faster steps on GPUs."""
    deterministic: bool = True
    """The same numbers each time on the same machine; on GPUs a little slower, and an operation that cannot is an
    error."""
    threads: int | None = Field(default=None, ge=1)
    """Of the processor; torch's own choice unless given. Bits depend on it."""


class TrainingOptions(Section):
    """What every training is told; paths are from the folder of the YAML on."""

    folder: str
    """Where the training goes: log, checkpoints, evaluations, report."""
    steps: int = Field(ge=1)
    batch: BatchOptions
    optimizer: tuple[OptimizerRule, ...] = Field(default=DEFAULT_RULES, min_length=1)
    schedule: ScheduleOptions = ScheduleOptions()
    clip: float | None = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Greatest norm of all gradients together (Pascanu et al. 2012, arXiv 1211.5063); null does not clip."""
    spikes: SpikeOptions | None = None
    """Go back and leave data out where the loss jumps; without it, a loss that is no number ends the training."""
    validate_every: int | None = Field(default=None, ge=1)
    """Steps between losses on what `data.validation` holds out; as often as checkpoints unless given."""
    validate_sequences: int | None = Field(default=None, ge=1)
    """How many sequences of it; all unless given."""
    log_every: int = Field(default=10, ge=1)
    """Steps between lines of the log; each tells the mean over the steps since the last one."""
    tensorboard: bool = False
    """Also as TensorBoard reads it, in the folder `tensorboard`."""
    checkpoints: CheckpointOptions = CheckpointOptions()
    compute: ComputeOptions = ComputeOptions()
    seed: int = Field(default=0, ge=0)
    """Of the initial weights and of the order of the data."""


class PretrainOptions(TrainingOptions):
    """The YAML of a pretraining."""

    tokenizer: str | None = None
    """A folder with tokenizer.json; the corpus's own unless given, looked for where the corpus lies."""
    model: AnyModelOptions
    data: DataOptions
    objective: AnyObjectiveOptions = ObjectiveOptions()
    z_loss: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Times ``logsumexp(logits)^2``, added to the loss (PaLM: 1e-4)."""
    balance_loss: float = Field(default=0.01, ge=0, allow_inf_nan=False)
    """Times the balance of the model's experts (`training.balance`), added to the loss where it has some (Switch:
    0.01)."""
    embedding_gradient: float = Field(default=1.0, gt=0, le=1)
    """What the gradient of the embedding is multiplied by (GLM-130B: 0.1)."""
    parallel: ParallelOptions = ParallelOptions()
