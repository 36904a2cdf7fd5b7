"""Decoders whose weights become small while they are read: no more than a block of rows is whole at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.checkpoints.load import Checkpoint, empty_model, require_shapes
from evalharness.stack.layers.experts import Experts
from evalharness.stack.layers.linear import SideBySide
from evalharness.stack.layers.quantized import Filling
from evalharness.stack.quantization.kinds import Weights

NUMBERS_AT_ONCE = 2**18
"""Of a tensor that is read: 1 MiB of fp32."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor of the checkpoint goes."""

    filling: Filling
    first: int
    """Row that it begins at."""
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer that gets another one in its place."""

    parent: nn.Module
    name: str
    linear: dict[str, nn.Linear]
    """By their names in the model, those that lie side by side in it."""


def build_quantized(checkpoint: Checkpoint, dtype: torch.dtype, device: torch.device, weights: Weights) -> Decoder:
    """The decoder around a checkpoint's weights, which are made small one tensor after another.

    Embedding and vocabulary have eight bits in both kinds of weights. Routers of experts, norms, biases and learned
    positions keep their numbers, in `dtype`.

    Raises:
        CheckpointError: tensors are missing, too many or of the wrong shape.
    """
    model = cast(Decoder, empty_model(checkpoint))
    layers = list(_layers(model))
    fillings = [Filling(*_shape(layer), weights, device) for layer in layers]
    places: dict[str, _Place] = {}
    for layer, filling in zip(layers, fillings, strict=True):
        first = 0
        for name, linear in layer.linear.items():
            places[f"{name}.weight"] = _Place(filling, first, tuple(linear.weight.shape))
            first += linear.out_features
    tied = checkpoint.config.tied_embeddings
    vocabulary = (model.embedding.num_embeddings, model.embedding.embedding_dim)
    embedding = Filling(*vocabulary, "int8", device, shared=True)
    head = embedding if tied else Filling(*vocabulary, "int8", device)
    places |= {"embedding.weight": _Place(embedding, 0, vocabulary), "head.weight": _Place(head, 0, vocabulary)}

    shapes: dict[str, tuple[int, ...]] = {}
    tensors: dict[str, Tensor] = {}
    for name, rows in checkpoint.by_rows(NUMBERS_AT_ONCE):
        shapes[name] = rows.shape
        place = places.get(name)
        if place is None:
            tensors[name] = torch.cat(list(rows.blocks)).to(device=device, dtype=dtype)
        elif rows.shape == place.shape:  # else it is refused below
            first = place.first
            for block in rows.blocks:
                place.filling.put(first, block)
                first += len(block)
    if tied and "embedding.weight" in shapes:
        shapes["head.weight"] = shapes["embedding.weight"]
    require_shapes(checkpoint, model, shapes)

    for layer, filling in zip(layers, fillings, strict=True):
        biases = [tensors.pop(f"{name}.bias") for name, linear in layer.linear.items() if linear.bias is not None]
        setattr(layer.parent, layer.name, filling.layer(torch.cat(biases) if biases else None))
    model.embedding = embedding.embedding(dtype)
    model.head = head.layer(None)
    model.load_state_dict(tensors, assign=True)
    return model.eval().requires_grad_(False)


def _layers(model: nn.Module, path: str = "") -> Iterator[_Layer]:
    for name, child in model.named_children():
        at = path + name
        if at == "head" or (isinstance(model, Experts) and name == "router"):
            continue
        if isinstance(child, SideBySide):
            yield _Layer(model, name, {f"{at}.{part}": cast(nn.Linear, each) for part, each in child.named_children()})
        elif isinstance(child, nn.Linear):
            yield _Layer(model, name, {at: child})
        else:
            yield from _layers(child, f"{at}.")


def _shape(layer: _Layer) -> tuple[int, int]:
    linear = list(layer.linear.values())
    return sum(each.out_features for each in linear), linear[0].in_features
