"""Low-rank adapters of linear layers (LoRA: Hu et al. 2021, arXiv:2106.09685).

Letters in names: I numbers that go into a layer, O that come out, R the rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class LowRank:
    """What is added to a weight [O, I]: ``scale B A``."""

    a_RI: Tensor
    b_OR: Tensor
    alpha: float
    rank_stabilized: bool = False

    @property
    def rank(self) -> int:
        return self.a_RI.shape[0]

    @property
    def scale(self) -> float:
        """``alpha / R``, or ``alpha / sqrt(R)`` where it is rank-stabilized (rsLoRA: Kalajdzievski 2023,
        arXiv:2312.03732)."""
        return self.alpha / (sqrt(self.rank) if self.rank_stabilized else self.rank)

    def alpha_at(self, rank: int) -> float:
        """What alpha must be for another rank to have the same scale."""
        more = rank / self.rank
        return self.alpha * (sqrt(more) if self.rank_stabilized else more)

    def product(self) -> Tensor:
        """All of it, [O, I]."""
        return self.scale * (self.b_OR @ self.a_RI)


class LoRALinear(nn.Linear):
    """``x W^T + b + scale (x A^T) B^T``: a linear layer with an adapter apart from its weight.

    The weight and the bias are those of the layer that it stands for, under their names. Several layers of one input
    may share their A, as one layer of theirs in another layout does.

    Args:
        dropout: share of the adapter's inputs that are 0 in training, the others being larger for it.
    """

    def __init__(self, layer: nn.Linear, added: LowRank, dropout: float = 0.0) -> None:
        super().__init__(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
        self.weight, self.bias = layer.weight, layer.bias
        self.lora_A = _parameter(added.a_RI)
        self.lora_B = _parameter(added.b_OR)
        self.alpha, self.rank_stabilized, self.dropout = added.alpha, added.rank_stabilized, dropout
        self.enabled = True
        """Without it the layer is what it was."""
        self.train(layer.training)

    @property
    def added(self) -> LowRank:
        return LowRank(self.lora_A, self.lora_B, self.alpha, self.rank_stabilized)

    def forward(self, x: Tensor) -> Tensor:
        found = F.linear(x, self.weight, self.bias)
        if not self.enabled:
            return found
        seen = F.dropout(x, self.dropout, self.training) if self.dropout else x
        return found + self.added.scale * F.linear(F.linear(seen, self.lora_A), self.lora_B)


def _parameter(tensor: Tensor) -> nn.Parameter:
    """The same object where it is one, so that layers may share it."""
    return tensor if isinstance(tensor, nn.Parameter) else nn.Parameter(tensor)


def effective_weight(layer: nn.Linear) -> Tensor:
    """What a layer multiplies by: its weight, and what an adapter that is on adds to it."""
    if isinstance(layer, LoRALinear) and layer.enabled:
        return layer.weight + layer.added.product().to(layer.weight.dtype)
    return layer.weight
