"""The processes of one training: alone, or as many as torchrun has started."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed, nn

from evalharness.stack.errors import TrainingError
from evalharness.stack.training.parallel.mesh import make_mesh
from evalharness.stack.training.parallel.options import Division, ParallelOptions

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

PATIENCE = timedelta(hours=4)
"""How long a process waits for another: rank 0 may evaluate a checkpoint meanwhile."""


@dataclass(frozen=True, slots=True)
class Processes:
    """Which of them this is."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    """On this machine: the number of its GPU."""
    division: Division | None = None
    """Where they divide more than the data."""
    mesh: DeviceMesh | None = None
    """The same, made of processes that run."""

    @property
    def first(self) -> bool:
        """Whether this one writes files and talks."""
        return self.rank == 0

    @property
    def readers(self) -> int:
        """How many parts of each batch they read."""
        return self.count if self.division is None else self.division.data

    @property
    def reader(self) -> int:
        """Which of those parts this one reads."""
        return self.rank if self.division is None else self.division.data_of(self.rank)

    def device(self, kind: str) -> torch.device:
        """This process's device.

        Raises:
            TrainingError: there is no GPU, or not one for each process.
        """
        if kind == "cpu" or (kind == "auto" and not torch.cuda.is_available()):
            return torch.device("cpu")
        if self.local_rank >= torch.cuda.device_count():
            raise TrainingError(
                f"compute.device: process {self.local_rank + 1} of this machine needs a GPU of its own, and torch "
                f"{torch.__version__} sees {torch.cuda.device_count()}; take cpu, or start fewer processes."
            )
        return torch.device("cuda", self.local_rank)

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The model with its gradients averaged over the processes."""
        if self.count == 1:
            return model
        ids = [device] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=ids)

    def sum(self, value: Tensor) -> Tensor:
        """The sum over all parts of a batch, in place."""
        if self.readers > 1:
            distributed.all_reduce(value, group=None if self.mesh is None else self.mesh["data"].get_group())
        return value

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is set in one of them; all ask at once."""
        if self.count == 1:
            return flag
        flags = torch.tensor(float(flag), device=device)
        distributed.all_reduce(flags)
        return bool(flags)

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            distributed.barrier()

    def from_first(self, value: object) -> object:
        """What the first process has, in all of them."""
        if self.count == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]


@contextmanager
def processes(kind: str, parallel: ParallelOptions | None = None) -> Iterator[Processes]:
    """Join the processes that torchrun started; `kind` is the device that is asked for.

    Raises:
        TrainingError: another process died; they are not as many as `parallel` says.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    division = parallel.division(count) if parallel else Division(data=count)
    if count == 1:
        yield Processes()
        return
    cuda = kind != "cpu" and torch.cuda.is_available()
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if cuda and local_rank < torch.cuda.device_count():
        torch.cuda.set_device(local_rank)
    try:
        distributed.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
        here = Processes(distributed.get_rank(), count, local_rank)
        if division.splits:
            here = replace(here, division=division, mesh=make_mesh(division, here.device(kind)))
        yield here
    except (RuntimeError, distributed.DistBackendError) as error:
        if not _lost(error):
            raise
        raise TrainingError(
            f"Rank {os.environ.get('RANK', '?')}: another process of this training died or was cut off; its own "
            "message says why. The checkpoints are whole: start the same command again, and it goes on."
        ) from error
    finally:
        if distributed.is_initialized():
            # Where DistributedDataParallel is the last to let go of a group, it waits for the group's threads while it
            # has Python's lock, which one of them may wait for to give back a tensor: now and then, for ever.
            gc.collect()
            distributed.destroy_process_group()


def _lost(error: Exception) -> bool:
    """Whether a collective operation failed since a process is gone; gloo and NCCL have no class for it."""
    text = str(error)
    return isinstance(error, distributed.DistBackendError) or any(
        sign in text for sign in ("Connection closed by peer", "Connection reset by peer", "gloo", "NCCL")
    )
