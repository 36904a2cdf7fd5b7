"""What a training will take, told before it starts: parameters, operations, memory, room on the disk, time.

Models are given as modules, on the meta device if they need not be there, and are walked: nothing here knows which
parts a decoder is made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.encoder_decoder import EncoderDecoder
from evalharness.stack.architectures.mamba import Mamba
from evalharness.stack.kernels.linear_cross_entropy import FEWEST_ROWS, LOGITS
from evalharness.stack.layers.attention import Attention
from evalharness.stack.layers.experts import Experts
from evalharness.stack.training.groups import OptimizerRule, group_parameters
from evalharness.stack.training.saved import Activations, activations

PARTS = ("embedding", "attention", "feed_forward", "norms", "head", "other")
LOOKED_UP = ("embedding", "positions")
"""Modules whose matrices are tables: a token takes a row, and there is no product."""
WIDE = 4
"""Bytes of a number in fp32."""


def parameters_by_part(model: nn.Module) -> dict[str, int]:
    """How many numbers each of `PARTS` learns; a head that is tied to the embedding counts there."""
    counts = dict.fromkeys(PARTS, 0)
    for name, parameter in model.named_parameters():
        counts[_part(name.split("."))] += parameter.numel()
    return counts


def _part(path: Sequence[str]) -> str:
    if any(name.endswith("norm") for name in path):
        return "norms"
    if set(path) & set(LOOKED_UP):
        return "embedding"
    return next((name for step in path if (name := step.removeprefix("cross_")) in PARTS), "other")


@dataclass(frozen=True, slots=True)
class Operations:
    """Additions and multiplications for one token of a training, forward and backward."""

    matrices: int
    """6 for each weight that a token is multiplied by: 2 forward, and 2 for each of the gradients by input and weight,
    the latter only of weights that learn. The head counts, tied or not; looking up embeddings does not."""
    attention: int
    """12 for each number of the heads' queries and each key seen, half of them for scores and half for mixing values.
    A token sees half of a sequence under a causal mask, less in a window: PaLM's count (Chowdhery et al. 2022, arXiv
    2204.02311, appendix B), which takes all of it, is greater. Documents that are told apart see still less."""
    recomputed: int
    """Forward through the blocks a second time, where they are computed again; torch leaves out what only their
    outputs need."""

    @property
    def needed(self) -> int:
        """Without what is computed again: model FLOPs, of which the share of a machine's peak is told."""
        return self.matrices + self.attention


def operations(model: nn.Module, length: int, *, recompute: bool = False) -> Operations:
    """For sequences of `length` tokens."""
    layers = [module for module in model.modules() if isinstance(module, Attention)]
    attention = sum(layer.heads * layer.head_dim * keys_seen(length, layer.window) for layer in layers)
    again = 2 * _multiplied(model.get_submodule("blocks")) + 4 * attention if recompute else 0
    matrices = 4 * _multiplied(model) + 2 * _multiplied(model, learned=True)
    return Operations(matrices, round(12 * attention), round(again))


def _multiplied(model: nn.Module, *, learned: bool = False) -> int:
    """Numbers in the matrices that a token is multiplied by, all or those that learn; one that two modules share counts
    in both."""
    idle = sum(_idle(module, learned) for module in model.modules() if isinstance(module, Experts))
    total: int = sum(
        weight.numel()
        for name, module in model.named_modules()
        if not set(name.split(".")) & set(LOOKED_UP)
        for weight in module.parameters(recurse=False)
        if weight.dim() >= 2 and (weight.requires_grad or not learned)
    )
    return total - idle


def _idle(layer: Experts, learned: bool) -> int:
    """Numbers in the matrices of the experts that a token does not pass through."""
    counted = (weight for weight in layer.experts.parameters() if weight.requires_grad or not learned)
    matrices: int = sum(weight.numel() for weight in counted if weight.dim() >= 2)
    return matrices * (len(layer.experts) - layer.per_token) // len(layer.experts)


def keys_seen(length: int, window: int | None) -> float:
    """How many keys a token sees in the mean over a sequence, itself among them."""
    most = min(window or length, length)
    return most - most * (most - 1) / (2 * length)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on the device of one process when a step needs most: between the forward and the backward pass of a
    micro-batch, with the gradients of one before it.

    Not in here: torch itself, blocks of the allocator that are not full, buffers of data parallelism (the gradients
    once more), and the copy of a checkpoint that is written beside the training. torch.compile keeps less.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    """What the backward pass needs of the forward pass."""
    loss: int
    """The gradients by the head and the hidden states, which the loss computes with itself."""
    working: int
    """Logits of a chunk and their gradient, which on a processor in fp32 takes their place; or, if that is more, what
    the backward pass holds beside: the largest gradient of an activation, and all of a block that is computed again."""

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations + self.loss + self.working


def memory(
    model: Decoder,
    rules: Sequence[OptimizerRule],
    *,
    sequences: int,
    length: int,
    dtype: torch.dtype = torch.float32,
    recompute: bool = False,
    documents: bool = False,
    device: str = "cpu",
) -> Memory:
    """For micro-batches of `sequences` of `length` tokens.

    Args:
        dtype: of the products of matrices, by autocast; weights are what they are.
        recompute: whether of blocks only their inputs are kept.
        documents: whether documents are told apart, which takes a mask for each sequence.
        device: whose size of chunks the loss has: ``cpu`` or ``cuda``.

    Raises:
        TrainingError: rules and parameters do not go together.
    """
    saved = activations(model.config, sequences, length, dtype, recompute=recompute, documents=documents)
    return memory_with(model, rules, saved, rows=sequences * length, dtype=dtype, device=device)


def memory_with(
    model: Decoder | EncoderDecoder | Mamba,
    rules: Sequence[OptimizerRule],
    saved: Activations,
    *,
    rows: int,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> Memory:
    """With what a forward pass leaves, and so many targets.

    Raises:
        TrainingError: rules and parameters do not go together.
    """
    vocabulary, width = model.embedding.weight.shape
    chunk = min(rows, max(FEWEST_ROWS[device], LOGITS[device] // vocabulary))
    beside = 0 if dtype == torch.float32 and device == "cpu" else dtype.itemsize
    logits = chunk * vocabulary * (WIDE + beside)
    return Memory(
        weights=_bytes(model.parameters()),
        gradients=_bytes(parameter for parameter in model.parameters() if parameter.requires_grad),
        optimizer=optimizer_bytes(model.named_parameters(), rules),
        activations=saved.kept,
        loss=(WIDE * vocabulary + dtype.itemsize * rows) * width,
        working=max(logits + saved.copies, saved.again + saved.largest),
    )


def checkpoint_bytes(model: nn.Module, rules: Sequence[OptimizerRule]) -> int:
    """Of a checkpoint on the disk: weights and the optimizers' state. Tokenizer and JSON add to it.

    Raises:
        TrainingError: rules and parameters do not go together.
    """
    return _bytes(model.parameters()) + optimizer_bytes(model.named_parameters(), rules)


def optimizer_bytes(named_parameters: Iterable[tuple[str, Tensor]], rules: Sequence[OptimizerRule]) -> int:
    """Of what the optimizers keep for each parameter, in its dtype: Adam and AdamW two numbers for each of its own,
    Muon one, Adafactor one for each row and each column of a matrix and for each number of a vector.

    Raises:
        TrainingError: rules and parameters do not go together.
    """
    total = 0
    for rule, group in zip(rules, group_parameters(named_parameters, rules), strict=True):
        for _, parameter in group:
            total += parameter.element_size() * _kept(rule, parameter.shape)
            total += 0 if rule.name == "muon" else WIDE  # the number of steps, in fp32
    return total


def _kept(rule: OptimizerRule, shape: Sequence[int]) -> int:
    match rule.name:
        case "adamw" | "adam":
            return 2 * prod(shape)
        case "muon":
            return prod(shape)
        case "adafactor":
            return prod(shape) if len(shape) < 2 else prod(shape[:-2]) * (shape[-2] + shape[-1])


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def training_seconds(tokens: int, operations_per_token: int, operations_per_second: float) -> float:
    """How long so many tokens take at a rate: at a machine's peak, the time that no program can undercut."""
    return tokens * operations_per_token / operations_per_second
