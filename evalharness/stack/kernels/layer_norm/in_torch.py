"""By torch's own norm, without its wrapper in Python, which takes as long as dispatch."""

from __future__ import annotations

import torch
from torch import Tensor


def layer_norm(x: Tensor, weight_W: Tensor, bias_W: Tensor | None, epsilon: float) -> Tensor:
    return torch.layer_norm(x, weight_W.shape, weight_W, bias_W, epsilon)
