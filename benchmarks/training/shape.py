"""What is trained in throughput.py, alike for both sides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A model in the shape of GPT-2, and how it is trained."""

    vocabulary: int
    context: int
    batch: int
    layers: int
    width: int
    heads: int
    device: str = "cpu"
    bf16: bool = False
    """Products in bf16 by autocast."""
    compiled: bool = False
    """By torch.compile."""
    clip: float = 1.0
    adamw: dict[str, Any] = field(default_factory=lambda: {"lr": 1e-3, "betas": (0.9, 0.95), "weight_decay": 0.1})

    @property
    def tokens(self) -> int:
        """Of a step."""
        return self.batch * self.context

    @property
    def operations(self) -> int:
        """Additions and multiplications for a token, forward and backward: 6 for each weight of a matrix product, the
        head's among them, and PaLM's count for attention (arXiv:2204.02311, appendix B)."""
        weights = 12 * self.layers * self.width**2 + self.vocabulary * self.width
        return 6 * weights + 12 * self.layers * self.width * self.context


SHAPES = {
    "cpu": Shape(vocabulary=8192, context=256, batch=16, layers=4, width=256, heads=4),
    "cuda": Shape(
        vocabulary=50304,
        context=1024,
        batch=32,
        layers=12,
        width=768,
        heads=12,
        device="cuda",
        bf16=True,
        compiled=True,
    ),
}
