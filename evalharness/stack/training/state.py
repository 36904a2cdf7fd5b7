"""The exact state of a training beside its weights: of its optimizers, and of every generator of random numbers.

The state is tensors by name and facts that JSON knows, as a checkpoint keeps them. What an optimizer knows of a
parameter goes by the parameter's name, not by its place, so that another model is noticed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed
from torch.optim import Optimizer

from evalharness.stack.errors import CheckpointError

Tensors = dict[str, Tensor]
MOST_NAMED = 3
"""Parameters that a message names."""


def capture(
    named_parameters: Iterable[tuple[str, Tensor]], optimizers: Sequence[Optimizer]
) -> tuple[Tensors, dict[str, Any]]:
    """The state as it is now. Every process of a training calls this at once, and every one gets all of it.

    The optimizers' tensors are their own, not copies: they change with the next step.
    """
    named = dict(named_parameters)
    names = {id(parameter): name for name, parameter in named.items()}
    tensors: Tensors = {}
    kept = [_optimizer_state(f"optimizer.{n}", each, names, tensors) for n, each in enumerate(optimizers)]
    facts = {
        "parameters": {name: list(parameter.shape) for name, parameter in named.items()},
        "optimizers": kept,
        "random": _random_states(tensors),
    }
    # What JSON makes of it, so that facts are the same before and after they were in a file.
    return tensors, json.loads(json.dumps(facts))


def restore(
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    named_parameters: Iterable[tuple[str, Tensor]],
    optimizers: Sequence[Optimizer],
) -> list[str]:
    """Bring optimizers and generators into a captured state; `tensors` stay as they are.

    Returns:
        A sentence on each thing that is not as it was, though the training can go on.

    Raises:
        CheckpointError: the state is of other parameters, other optimizers, or groups them in another way.
    """
    named = dict(named_parameters)
    names = {id(parameter): name for name, parameter in named.items()}
    check_parameters(facts["parameters"], {name: list(parameter.shape) for name, parameter in named.items()})
    saved, here = [each["kind"] for each in facts["optimizers"]], [type(each).__name__ for each in optimizers]
    if saved != here:
        raise CheckpointError(f"The checkpoint is of a training with the optimizers {', '.join(saved)}, and this one "
                              f"has {', '.join(here)}; give the configuration that it was trained with.")  # fmt: skip
    for record, optimizer in zip(facts["optimizers"], optimizers, strict=True):
        _check_groups(record, optimizer, names)
    notes: list[str] = []
    for number, (record, optimizer) in enumerate(zip(facts["optimizers"], optimizers, strict=True)):
        notes += _changed_options(record, optimizer)
        _restore_optimizer(f"optimizer.{number}", record, optimizer, names, tensors)
    return notes + _restore_random(facts["random"], tensors)


# --------------------------------------------------------------------------- optimizers


def _optimizer_state(prefix: str, optimizer: Optimizer, names: Mapping[int, str], tensors: Tensors) -> dict[str, Any]:
    groups, state = [], {}
    for number, group in enumerate(optimizer.param_groups):
        options = {key: value for key, value in group.items() if key != "params"}
        record = _split(f"{prefix}.group.{number}", options, tensors)
        groups.append({"parameters": [names[id(parameter)] for parameter in group["params"]], **record})
    for parameter, values in optimizer.state.items():
        name = names[id(parameter)]
        state[name] = _split(f"{prefix}.state.{name}", values, tensors)
    return {"kind": type(optimizer).__name__, "groups": groups, "state": state}


def _split(prefix: str, values: Mapping[str, Any], tensors: Tensors) -> dict[str, Any]:
    """Put the tensors among `values` into `tensors`; their keys and the other values are returned."""
    keys = [key for key, value in values.items() if isinstance(value, Tensor)]
    tensors.update({f"{prefix}.{key}": values[key].detach() for key in keys})
    return {"tensors": keys, "values": {key: value for key, value in values.items() if key not in keys}}


def _joined(prefix: str, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The inverse of `_split`, with copies of the tensors."""
    return {**record["values"], **{key: tensors[f"{prefix}.{key}"].clone() for key in record["tensors"]}}


def _restore_optimizer(
    prefix: str,
    record: Mapping[str, Any],
    optimizer: Optimizer,
    names: Mapping[int, str],
    tensors: Mapping[str, Tensor],
) -> None:
    state: dict[int, dict[str, Any]] = {}
    groups: list[dict[str, Any]] = []
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for place, parameter in enumerate(parameters):
        name = names[id(parameter)]
        if name in record["state"]:
            state[place] = _joined(f"{prefix}.state.{name}", record["state"][name], tensors)
    first = 0
    for number, (own, saved) in enumerate(zip(optimizer.param_groups, record["groups"], strict=True)):
        options = _joined(f"{prefix}.group.{number}", saved, tensors)
        # JSON knows no tuples.
        options = {key: tuple(value) if isinstance(own.get(key), tuple) else value for key, value in options.items()}
        groups.append({**options, "params": list(range(first, first + len(own["params"])))})
        first += len(own["params"])
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    for place, values in state.items():
        own = optimizer.state[parameters[place]]
        for key, value in values.items():
            # load_state_dict gives what it loads the parameter's type: moments in fp32 of a bf16 weight are rounded.
            if isinstance(value, Tensor) and own[key].dtype != value.dtype:
                own[key] = value.to(own[key].device)


def check_parameters(saved: Mapping[str, list[int]], here: Mapping[str, list[int]]) -> None:
    """See that names and shapes of parameters are alike.

    Raises:
        CheckpointError: they are of different models.
    """
    differences = []
    if gone := [name for name in saved if name not in here]:
        differences.append(f"it has {_some(gone)}, which this model has not")
    if new := [name for name in here if name not in saved]:
        differences.append(f"it lacks {_some(new)}")
    shapes = [
        f"{name} ({saved[name]}, here {here[name]})" for name in saved if here.get(name, saved[name]) != saved[name]
    ]
    if shapes:
        differences.append(f"it has other shapes of {_some(shapes)}")
    if differences:
        raise CheckpointError(f"The checkpoint is of another model: {', and '.join(differences)}; give the "
                              "configuration that it was trained with.")  # fmt: skip


def _check_groups(record: Mapping[str, Any], optimizer: Optimizer, names: Mapping[int, str]) -> None:
    here = [[names[id(parameter)] for parameter in group["params"]] for group in optimizer.param_groups]
    saved = [group["parameters"] for group in record["groups"]]
    there = f"The checkpoint's optimizer {record['kind']}"
    give = "give the rules that it was trained with"
    if len(saved) != len(here):
        raise CheckpointError(
            f"{there} has {len(saved)} groups of parameters, and this training's {len(here)}; {give}."
        )
    for number, (theirs, ours) in enumerate(zip(saved, here, strict=True), 1):
        if gone := [name for name in theirs if name not in ours]:
            raise CheckpointError(f"{there} has {_some(gone)} in group {number}, and this training's has not; {give}.")
        if new := [name for name in ours if name not in theirs]:
            raise CheckpointError(f"{there} lacks {_some(new)} in group {number}, which this training's has; {give}.")
        if theirs != ours:
            place = next(place for place, (one, other) in enumerate(zip(theirs, ours, strict=True)) if one != other)
            raise CheckpointError(f"{there} has group {number} in another order: parameter {place + 1} is "
                                  f"{theirs[place]} there and {ours[place]} here; {give}.")  # fmt: skip


def _changed_options(record: Mapping[str, Any], optimizer: Optimizer) -> list[str]:
    """Options of groups that this training set in another way, the rate of the last step aside."""
    notes = []
    for number, (saved, own) in enumerate(zip(record["groups"], optimizer.param_groups, strict=True), 1):
        for key, value in saved["values"].items():
            ours = own.get(key, value)
            if key != "lr" and not isinstance(ours, Tensor) and json.loads(json.dumps(ours)) != value:
                notes.append(f"{record['kind']}, group {number}: {key} is {value} in the checkpoint, which holds, and "
                             f"{ours} in the configuration.")  # fmt: skip
    return notes


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


# --------------------------------------------------------------------------- random numbers


def _random_states(tensors: Tensors) -> list[dict[str, Any]]:
    """Put the states of all processes into `tensors`; the facts of each are returned, by rank."""
    own = _random_state()
    ranks = [own]
    if _processes() > 1:
        gathered: list[Any] = [None] * _processes()
        distributed.all_gather_object(gathered, own)
        ranks = gathered
    for rank, (states, _) in enumerate(ranks):
        tensors.update({f"random.{rank}.{name}": state for name, state in states.items()})
    return [facts for _, facts in ranks]


def _random_state() -> tuple[Tensors, dict[str, Any]]:
    version, words, gauss = random.getstate()
    kind, keys, place, has_gauss, cached = np.random.get_state(legacy=True)
    # Asked only where it is in use, since the question would start it on every device.
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    states = {
        "torch": torch.get_rng_state(),
        "python": torch.tensor(words, dtype=torch.int64),
        "numpy": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        **{f"cuda.{device}": state for device, state in enumerate(cuda)},
    }
    return states, {
        "python": [version, gauss],
        "numpy": [kind, place, has_gauss, cached],
        "cuda": len(cuda),
    }


def _restore_random(ranks: Sequence[Mapping[str, Any]], tensors: Mapping[str, Tensor]) -> list[str]:
    notes = []
    rank = distributed.get_rank() if _processes() > 1 else 0
    if len(ranks) != _processes():
        notes.append(f"The checkpoint is of {len(ranks)} processes and this training has {_processes()}: random "
                     "numbers are drawn otherwise.")  # fmt: skip
    if rank >= len(ranks):
        return notes
    facts = ranks[rank]
    version, gauss = facts["python"]
    random.setstate((version, tuple(tensors[f"random.{rank}.python"].tolist()), gauss))
    kind, place, has_gauss, cached = facts["numpy"]
    keys = tensors[f"random.{rank}.numpy"].numpy().astype(np.uint32)
    np.random.set_state((kind, keys, place, has_gauss, cached))
    torch.set_rng_state(tensors[f"random.{rank}.torch"].clone())
    devices = torch.cuda.device_count()
    for device in range(min(devices, facts["cuda"])):
        torch.cuda.set_rng_state(tensors[f"random.{rank}.cuda.{device}"].clone(), device)
    if facts["cuda"] > devices:
        notes.append(f"The checkpoint is of {facts['cuda']} GPUs and here are {devices}: random numbers are drawn "
                     "otherwise.")  # fmt: skip
    return notes


def _processes() -> int:
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
