"""LoRA: a decoder learns through low-rank adapters of its linear layers, and stays as it is (Hu et al. 2021,
arXiv:2106.09685).

    decoder, config = load_model(folder)
    add_adapter(decoder, LoraOptions(), seed=0)    # before a `TrainingModel` is made of it
    ...                                            # training
    save_adapter(target, decoder, base=str(folder))
    merge(decoder)

Letters in names: R rank, I numbers that go into a layer, O that come out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from evalharness.stack.adaptation.lora_options import LoraOptions
from evalharness.stack.adaptation.lora_targets import layers_of
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.checkpoints.adapter_writing import write_adapter
from evalharness.stack.checkpoints.adapters import AdapterFolder, require_shape
from evalharness.stack.errors import CheckpointError, TrainingError
from evalharness.stack.layers.lora import LoRALinear, LowRank
from evalharness.stack.new_folder import new_folder

# --------------------------------------------------------------------------- on and off


def add_adapter(decoder: Decoder, options: LoraOptions, seed: int) -> None:
    """Give a decoder an adapter, and freeze all else: only the adapter's parameters require gradients.

    Numbers are drawn on the CPU, in the order of the layers, so that every device begins alike.

    Raises:
        TrainingError: a target that no layer matches or that cannot be adapted; there is an adapter already.
    """
    _require_none(decoder)
    random = torch.Generator().manual_seed(seed)
    added: dict[str, LowRank] = {}
    for group in layers_of(decoder, options.targets, dropout=options.dropout > 0):
        layers = [_linear(decoder, path) for path in group]
        inputs = layers[0].in_features
        a_RI = (torch.rand(options.rank, inputs, generator=random) * 2 - 1) * inputs**-0.5
        a_RI = a_RI.to(layers[0].weight)
        for path, layer in zip(group, layers, strict=True):
            b_OR = layer.weight.new_zeros(layer.out_features, options.rank)
            added[path] = LowRank(a_RI, b_OR, options.alpha, options.rank_stabilized)
    _install(decoder, added, options.dropout)


def load_adapter(decoder: Decoder, folder: Path) -> None:
    """Give a decoder the adapter that `save_adapter` or PEFT has written, to train it further; all else is frozen.

    Raises:
        CheckpointError: an adapter of a kind that is not covered, or of another model.
        TrainingError: there is an adapter already.
    """
    _require_none(decoder)
    adapter = AdapterFolder(folder)
    added = adapter.read(decoder.config)
    for path, each in added.items():
        require_shape(each, _linear(decoder, path).weight.shape, path, folder)
    _install(decoder, added, adapter.options.dropout)


def adapted_layers(decoder: Decoder) -> dict[str, LoRALinear]:
    """The layers with an adapter, by their names."""
    return {name: module for name, module in decoder.named_modules() if isinstance(module, LoRALinear)}


def adapter_parameters(decoder: Decoder) -> Iterator[tuple[str, nn.Parameter]]:
    """What is trained, each once: ``blocks.0.attention.qkv.query.lora_A``, ..., by its name in the decoder."""
    for name, parameter in decoder.named_parameters():
        if name.endswith((".lora_A", ".lora_B")):
            yield name, parameter


@contextmanager
def disabled(decoder: Decoder) -> Iterator[None]:
    """Let the decoder be as it was before the adapter: for what a training compares itself with."""
    layers = adapted_layers(decoder).values()
    for layer in layers:
        layer.enabled = False
    try:
        yield
    finally:
        for layer in layers:
            layer.enabled = True


# --------------------------------------------------------------------------- merging and saving


@torch.no_grad()
def merge(decoder: Decoder) -> None:
    """Add the adapter to the weights; the decoder has none afterwards, and computes the same."""
    for path, layer in adapted_layers(decoder).items():
        plain = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
        layer.weight.copy_(_merged(layer))
        plain.weight, plain.bias = layer.weight, layer.bias
        _replace(decoder, path, plain.train(layer.training))


@torch.no_grad()
def merged_weights(decoder: Decoder) -> dict[str, Tensor]:
    """The ``state_dict()`` that the decoder would have after `merge`; the decoder stays as it is."""
    layers = adapted_layers(decoder)
    weights = {
        name: tensor for name, tensor in decoder.state_dict().items() if not name.endswith((".lora_A", ".lora_B"))
    }
    return weights | {f"{path}.weight": _merged(layer) for path, layer in layers.items()}


def save_adapter(folder: Path, decoder: Decoder, *, base: str) -> None:
    """Write the adapter as the new folder `folder`, which PEFT and ``--adapter`` read.

    Args:
        base: where the model is that it belongs to: a folder, or a name on the hub.

    Raises:
        CheckpointError: the decoder has no adapter, or `folder` is there and not empty.
    """
    layers = adapted_layers(decoder)
    if not layers:
        raise CheckpointError(f"{folder}: the model has no adapter that could be saved.")
    outputs = {name: module.out_features for name, module in decoder.named_modules() if isinstance(module, nn.Linear)}
    dropout = next(iter(layers.values())).dropout
    with new_folder(folder) as partial:
        added = {path: layer.added for path, layer in layers.items()}
        write_adapter(partial, decoder.config, added, outputs, base=base, dropout=dropout)


def _merged(layer: LoRALinear) -> Tensor:
    return (layer.weight.float() + layer.added.product().float()).to(layer.weight.dtype)


# --------------------------------------------------------------------------- modules


def _require_none(decoder: Decoder) -> None:
    if adapted_layers(decoder):
        raise TrainingError("lora: the model has an adapter already; merge it first.")


def _install(decoder: Decoder, added: Mapping[str, LowRank], dropout: float) -> None:
    """Put adapters on layers; those that share the tensor A will share the parameter."""
    decoder.requires_grad_(False)
    shared: dict[int, nn.Parameter] = {}
    for path, each in added.items():
        layer = _linear(decoder, path)
        a_RI = shared.setdefault(id(each.a_RI), nn.Parameter(each.a_RI.to(layer.weight)))
        b_OR = each.b_OR.to(layer.weight)
        adapted = LoRALinear(layer, LowRank(a_RI, b_OR, each.alpha, each.rank_stabilized), dropout)
        _replace(decoder, path, adapted)


def _linear(decoder: Decoder, path: str) -> nn.Linear:
    layer = decoder.get_submodule(path)
    if not isinstance(layer, nn.Linear):
        raise CheckpointError(f"'{path}' is no linear layer, and has no adapter.")
    return layer


def _replace(decoder: Decoder, path: str, layer: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(decoder.get_submodule(parent), name, layer)
