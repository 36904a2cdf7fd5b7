"""The state of a training whose model is split over processes: gathered for a checkpoint, and taken apart again.

In a checkpoint every tensor is whole, so that it is read by any number of processes, divided in any way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, distributed
from torch.optim import Optimizer

from evalharness.stack.training import state
from evalharness.stack.training.parallel.parts import Part

if TYPE_CHECKING:
    from evalharness.stack.training.parallel.options import Division

Shapes = Mapping[str, torch.Size]


def capture_parts(
    parts: Sequence[Part], optimizers: Sequence[Optimizer], shapes: Shapes, division: Division, rank: int
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors that this process is to write, whole, on the CPU and its own; and all facts.

    The tensors of a stage are dealt to its processes in turn. All processes call this at once.
    """
    tensors, facts = state.capture(((part.name, part.own) for part in parts), optimizers)
    by_name = {part.name: part for part in parts}
    of_parts = dict(_tensors_of_parts(facts))
    dealt: dict[str, Tensor] = {}
    if rank == 0:
        dealt = {key: tensor.detach().to("cpu", copy=True) for key, tensor in tensors.items() if key not in of_parts}
    for number, (key, name) in enumerate(of_parts.items()):
        part, own = by_name[name], tensors[key]
        # Adam's number of steps is one for all.
        whole = part.whole(own) if own.shape == part.own.shape else own.detach().clone()
        if number % division.peers == rank % division.peers:
            dealt[key] = whole.cpu()
    facts = _joined(_of_stages(facts, division))
    return dealt, {**facts, "parameters": {name: list(shape) for name, shape in shapes.items()}}


def restore_parts(
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    parts: Sequence[Part],
    optimizers: Sequence[Optimizer],
    shapes: Shapes,
) -> list[str]:
    """As `state.restore`, of each tensor as much as this process has."""
    state.check_parameters(facts["parameters"], {name: list(shape) for name, shape in shapes.items()})
    by_name = {part.name: part for part in parts}
    own = _restricted(facts, by_name)
    cut = {key: tensor for key, tensor in tensors.items() if key.startswith("random.")}
    for key, name in _tensors_of_parts(own):
        part, tensor = by_name[name], tensors[key]
        cut[key] = tensor[part.region] if tensor.shape == part.shape else tensor
    return state.restore(cut, own, ((part.name, part.own) for part in parts), optimizers)


def gather_weights(parts: Sequence[Part], shapes: Shapes, division: Division, rank: int) -> dict[str, Tensor]:
    """All weights, on the CPU, in the first process; nothing in the others, which hold one at a time meanwhile.

    All processes call this at once.
    """
    weights: dict[str, Tensor] = {}
    by_name = {part.name: part for part in parts}
    for stage, names in enumerate(_of_stages(list(by_name), division)):
        sender = stage * division.peers
        for name in names:
            if stage == division.stage_of(rank):
                whole = by_name[name].whole(by_name[name].own)
                if rank == sender != 0:
                    distributed.send(whole, 0)
            elif rank == 0:
                whole = torch.empty(shapes[name], device=parts[0].own.device)
                distributed.recv(whole, sender)
            if rank == 0:
                weights[name] = whole.cpu()
    return weights


def _tensors_of_parts(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The key of each tensor that an optimizer keeps of a parameter, and the parameter's name."""
    for number, record in enumerate(facts["optimizers"]):
        for name, split in record["state"].items():
            for key in split["tensors"]:
                yield f"optimizer.{number}.state.{name}.{key}", name


def _of_stages(own: Any, division: Division) -> list[Any]:
    """What the first process of each stage has, in all processes."""
    if division.pipeline == 1:
        return [own]
    everyone: list[Any] = [None] * division.processes
    distributed.all_gather_object(everyone, own)
    return everyone[:: division.peers]


def _joined(stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The facts of a whole model, of those of its stages."""
    optimizers = []
    for records in zip(*(facts["optimizers"] for facts in stages), strict=True):
        groups = [
            {**those[0], "parameters": [name for group in those for name in group["parameters"]]}
            for those in zip(*(record["groups"] for record in records), strict=True)
        ]
        kept = {name: split for record in records for name, split in record["state"].items()}
        optimizers.append({**records[0], "groups": groups, "state": kept})
    return {**stages[0], "optimizers": optimizers}


def _restricted(facts: Mapping[str, Any], parts: Mapping[str, Part]) -> dict[str, Any]:
    """The facts of a stage, of those of its model."""
    optimizers = [
        {
            **record,
            "groups": [
                {**group, "parameters": [name for name in group["parameters"] if name in parts]}
                for group in record["groups"]
            ],
            "state": {name: split for name, split in record["state"].items() if name in parts},
        }
        for record in facts["optimizers"]
    ]
    shapes = {name: list(part.own.shape) for name, part in parts.items()}
    return {**facts, "parameters": shapes, "optimizers": optimizers}
