"""The section `parallel` of a pretraining's YAML: how a training is divided among its processes."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from evalharness.stack.corpus.options import Section
from evalharness.stack.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Division:
    """How many processes each axis has; their product is all of them. Tensor is the innermost, so that its processes
    are neighbours and on one machine; pipeline is the outermost."""

    pipeline: int = 1
    data: int = 1
    tensor: int = 1
    sharded: bool = False

    @property
    def splits(self) -> bool:
        """Whether a process has a part of the model alone."""
        return self.pipeline > 1 or self.tensor > 1 or (self.sharded and self.data > 1)

    @property
    def processes(self) -> int:
        return self.pipeline * self.data * self.tensor

    @property
    def peers(self) -> int:
        """Processes that a stage of the pipeline has."""
        return self.data * self.tensor

    def stage_of(self, rank: int) -> int:
        """Which part of the pipeline a process has."""
        return rank // self.peers

    def data_of(self, rank: int) -> int:
        """Which part of each batch a process reads."""
        return rank // self.tensor % self.data


class ParallelOptions(Section):
    """How a training is divided among the processes that torchrun starts: `pipeline` x `data` x `tensor` of them."""

    data: int | None = Field(default=None, ge=1)
    """Parts that each batch is divided into; as many as there are processes for unless given."""
    sharded: bool = False
    """Whether each of these processes keeps a part alone of weights, gradients and optimizers, and is sent the rest of
    a block when that is computed (FSDP2; Zhao et al. 2023, arXiv 2304.11277; ZeRO-3, Rajbhandari et al. 2019, arXiv
    1910.02054). Else each has all of it, and gradients are averaged (DDP)."""
    tensor: int = Field(default=1, ge=1)
    """Parts of each matrix of attention and feed-forward layers, computed at once (Shoeybi et al. 2019, arXiv
    1909.08053)."""
    pipeline: int = Field(default=1, ge=1)
    """Groups of blocks that micro-batches (`batch.micro`) pass through one after another, by the schedule 1F1B
    (Narayanan et al. 2021, arXiv 2104.04473, section 2.2)."""

    def division(self, processes: int) -> Division:
        """Of so many processes.

        Raises:
            TrainingError: it is not their number; data would be neither sharded nor alone.
        """
        others = self.tensor * self.pipeline
        data = self.data or max(1, processes // others)
        if data * others != processes:
            axes = f"data {data} x " if self.data else ""
            needed = f"make {data * others}" if self.data else f"need a multiple of {others}"
            raise TrainingError(
                f"parallel: {axes}tensor {self.tensor} x pipeline {self.pipeline} {needed} processes, and here "
                f"{'is' if processes == 1 else 'are'} {processes}; change one of them, or torchrun's --nproc-per-node."
            )
        if others > 1 and data > 1 and not self.sharded:
            raise TrainingError(
                "parallel: with tensor or pipeline, data are divided only together with the weights; set sharded: true."
            )
        return Division(self.pipeline, data, self.tensor, self.sharded)

    def planned(self) -> Division | None:
        """Of the processes that the section itself asks for; None where it leaves their number open."""
        return None if self.data is None else self.division(self.data * self.tensor * self.pipeline)
