"""What computes the loss of a batch: a decoder, from token ids to the sum of the losses of its targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from evalharness.stack.architectures.blocks import Block, run_block
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.errors import TrainingError
from evalharness.stack.kernels.linear_cross_entropy import linear_cross_entropy
from evalharness.stack.kernels.told import VARIABLE, told_kernels
from evalharness.stack.layers.attention import AttentionContext
from evalharness.stack.layers.lora import LoRALinear, effective_weight
from evalharness.stack.layers.positions import Positions
from evalharness.stack.training.attention import BatchAttention
from evalharness.stack.training.balance import Balance
from evalharness.stack.training.objectives import Batch
from evalharness.stack.training.optimizers import shrink_gradient
from evalharness.stack.training.products import use_fast_products

OF_LAYERS = ("experts", "flash_attention", "glu", "layer_norm", "rms_norm", "rope", "selective_scan")
"""Ops that a model computes with between its embedding and its head."""


class TrainingModel(nn.Module):
    """A decoder and its loss; a module, since data parallelism wraps modules.

    Args:
        dtype: of the products of matrices; the weights stay what they are.
        recompute: whether blocks are computed again in the backward pass.
        compiled: whether torch.compile makes kernels of the decoder.

    Raises:
        TrainingError: `check_compiled`.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        z_loss: float = 0.0,
        balance_loss: float = 0.0,
        tells_experts: bool = False,
        embedding_gradient: float = 1.0,
        dtype: torch.dtype = torch.float32,
        recompute: bool = False,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self._z_loss, self._embedding_gradient, self._dtype = z_loss, embedding_gradient, dtype
        self._balance_loss, self._balance = balance_loss, Balance(decoder)
        self._tells_experts = tells_experts
        self._run, self._compiled = run_again if recompute else run_block, compiled
        if compiled:
            check_compiled()
        else:
            use_fast_products(decoder)
        self._hidden: Callable[[Batch], Tensor] = torch.compile(self._hidden_of) if compiled else self._hidden_of

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The sum of the weighted losses, z-loss and the experts' balance included, and the sum without them, which has
        no gradient; with it the shares of the experts (`balance.told_experts`) times the sum of the weights, where they
        are told."""
        with self.arithmetic(self.decoder.device):
            losses, plain = self.losses(self.hidden(batch), batch)
        balance, weight = self._balance.loss(), batch.weights_BT.sum()
        # Losses are summed over targets: each has its share of what is a mean.
        if balance is not None:
            losses = losses + self._balance_loss * weight * balance
        if self._tells_experts and self._balance.shares is not None:
            plain = torch.cat((plain[None], weight * self._balance.shares))
        return losses, plain

    def hidden(self, batch: Batch) -> Tensor:
        """What the head is multiplied by, of shape [B, T, W]."""
        self._balance.begin()
        return self._hidden(batch)

    def arithmetic(self, device: torch.device) -> torch.autocast:
        """In which products of matrices are of the training's dtype."""
        return torch.autocast(device.type, self._dtype, enabled=self._dtype != torch.float32)

    def embedded(self, batch: Batch) -> Tensor:
        """Of shape [B, T, W]."""
        embedded_BTW: Tensor = self.decoder.embedding(batch.inputs_BT)
        if self._embedding_gradient != 1.0:
            embedded_BTW = shrink_gradient(embedded_BTW, self._embedding_gradient)
        return embedded_BTW

    def stream(self, embedded_BTW: Tensor, batch: Batch) -> Tensor:
        """Through the blocks, of shape [B, T, W]."""
        context = BatchAttention(batch.documents_BT, batch.prefix_BT)
        return self.decoder.stream(embedded_BTW, batch.positions, context, self._run)

    def losses(self, hidden_BTW: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """As `forward`, without the balance, of what the head is multiplied by."""
        return losses_of(
            hidden_BTW,
            effective_weight(self.decoder.head),  # type: ignore[arg-type]
            batch,
            self._z_loss,
            self._dtype,
            compiled=self._compiled,
        )

    def _hidden_of(self, batch: Batch) -> Tensor:
        hidden_BTW: Tensor = self.decoder.outputs(self.stream(self.embedded(batch), batch))
        return hidden_BTW


def check_compiled() -> None:
    """See that what torch.compile looks into is torch's.

    Raises:
        TrainingError: `EVALHARNESS_KERNELS` wants Triton for an op of the layers.
    """
    told = told_kernels()
    for name in OF_LAYERS:
        if told.get(name, told.get("")) == "triton":
            raise TrainingError(
                f"compute.compile: torch.compile makes kernels of its own, and {VARIABLE} wants Triton's {name}; leave "
                "one of them out."
            )


class Targets(Protocol):
    """What of a batch is to be said."""

    @property
    def targets_BT(self) -> Tensor: ...

    @property
    def weights_BT(self) -> Tensor: ...


def losses_of(
    hidden_BTW: Tensor, head_VW: Tensor, batch: Targets, z_loss: float, dtype: torch.dtype, *, compiled: bool
) -> tuple[Tensor, Tensor]:
    """The sum of the weighted losses, z-loss included, and the sum without it, which has no gradient."""
    if dtype != torch.float32:
        hidden_BTW = hidden_BTW.to(dtype)
    return linear_cross_entropy(
        hidden_BTW.flatten(0, 1),
        head_VW,
        batch.targets_BT.flatten(),
        batch.weights_BT.flatten(),
        z_loss,
        compiled=compiled and hidden_BTW.is_cuda,
    )


def run_again(
    block: Block, x_TW: Tensor, positions: Positions, at: tuple[Tensor, ...], context: AttentionContext
) -> Tensor:
    """Keep only the block's input, and compute the block again in the backward pass, with the same dropout."""
    drops = any(isinstance(module, LoRALinear) and module.dropout for module in block.modules())
    found: Tensor = checkpoint(block, x_TW, positions, at, context, use_reentrant=False, preserve_rng_state=drops)
    return found
