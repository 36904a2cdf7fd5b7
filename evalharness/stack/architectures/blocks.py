"""Blocks by name: how attention and feed-forward layer add to the stream, and where it is normed.

Written as formulas, with ``attend`` and ``feed`` for the two layers and ``norm`` for a norm of its own each time.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from evalharness.stack.config import ModelConfig
from evalharness.stack.layers.attention import Attention, AttentionContext
from evalharness.stack.layers.experts import Experts
from evalharness.stack.layers.feedforward import feed_forward
from evalharness.stack.layers.norms import NORMS
from evalharness.stack.layers.positions import Positions


class Block(nn.Module):
    """The two layers, and a norm for each."""

    ends_normed = False
    """Whether the last block's output is normed, so that the model needs no final norm."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = NORMS[config.norm](config.width, config.norm_epsilon)
        self.attention = Attention(config, layer)
        self.feed_forward_norm = NORMS[config.norm](config.width, config.norm_epsilon)
        self.feed_forward = _feed_forward(config)

    def forward(self, x_TW: Tensor, positions: Positions, at: tuple[Tensor, ...], context: AttentionContext) -> Tensor:
        raise NotImplementedError


def _feed_forward(config: ModelConfig) -> nn.Module:
    layers = [
        feed_forward(config.feed_forward, config.width, config.ffn_width, bias=config.ffn_bias)
        for _ in range(config.experts or 1)
    ]
    return layers[0] if config.experts is None else Experts(config.width, layers, config.experts_per_token)


class PreNorm(Block):
    """``x + attend(norm(x))``, then ``x + feed(norm(x))`` (Xiong et al. 2020, arXiv:2002.04745; GPT-2, Llama)."""

    def forward(self, x_TW: Tensor, positions: Positions, at: tuple[Tensor, ...], context: AttentionContext) -> Tensor:
        normed_TW, x_TW = self.feed_forward_norm.of_sum(
            x_TW, self.attention(self.attention_norm(x_TW), positions, at, context)
        )
        return x_TW + self.feed_forward(normed_TW)  # type: ignore[no-any-return]


class PostNorm(Block):
    """``norm(x + attend(x))``, then ``norm(x + feed(x))`` (Vaswani et al. 2017, arXiv:1706.03762)."""

    ends_normed = True

    def forward(self, x_TW: Tensor, positions: Positions, at: tuple[Tensor, ...], context: AttentionContext) -> Tensor:
        x_TW = self.attention_norm(x_TW + self.attention(x_TW, positions, at, context))
        return self.feed_forward_norm(x_TW + self.feed_forward(x_TW))  # type: ignore[no-any-return]


class DeepNorm(Block):
    """``norm(a x + attend(x))``, then ``norm(a x + feed(x))``, with ``a = (2 layers)^(1/4)``.

    Wang et al. 2022, arXiv:2203.00555, for decoders; it goes with smaller initial weights (`architectures.initial`).
    """

    ends_normed = True

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__(config, layer)
        self.alpha = (2 * config.layers) ** 0.25

    def forward(self, x_TW: Tensor, positions: Positions, at: tuple[Tensor, ...], context: AttentionContext) -> Tensor:
        x_TW = self.attention_norm(self.alpha * x_TW + self.attention(x_TW, positions, at, context))
        return self.feed_forward_norm(self.alpha * x_TW + self.feed_forward(x_TW))  # type: ignore[no-any-return]


class Sandwich(Block):
    """``x + norm(attend(norm(x)))``, then ``x + norm(feed(norm(x)))`` (Ding et al. 2021, arXiv:2105.13290; Gemma 2)."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__(config, layer)
        self.attention_end_norm = NORMS[config.norm](config.width, config.norm_epsilon)
        self.feed_forward_end_norm = NORMS[config.norm](config.width, config.norm_epsilon)

    def forward(self, x_TW: Tensor, positions: Positions, at: tuple[Tensor, ...], context: AttentionContext) -> Tensor:
        mixed_TW = self.attention(self.attention_norm(x_TW), positions, at, context)
        normed_TW, x_TW = self.feed_forward_norm.of_sum(x_TW, self.attention_end_norm(mixed_TW))
        return x_TW + self.feed_forward_end_norm(self.feed_forward(normed_TW))  # type: ignore[no-any-return]


class Parallel(Block):
    """``x + attend(y) + feed(y)`` with ``y = norm(x)`` (Wang and Komatsuzaki 2021, GPT-J; PaLM, arXiv:2204.02311)."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__(config, layer)
        del self.feed_forward_norm

    def forward(self, x_TW: Tensor, positions: Positions, at: tuple[Tensor, ...], context: AttentionContext) -> Tensor:
        normed_TW = self.attention_norm(x_TW)
        mixed_TW = self.attention(normed_TW, positions, at, context)
        return x_TW + mixed_TW + self.feed_forward(normed_TW)  # type: ignore[no-any-return]


class ParallelTwoNorms(Block):
    """``x + attend(norm(x)) + feed(norm(x))``, each with a norm of its own (GPT-NeoX, Black et al. 2022,
    arXiv:2204.06745, section 2.1; Falcon-40B)."""

    def forward(self, x_TW: Tensor, positions: Positions, at: tuple[Tensor, ...], context: AttentionContext) -> Tensor:
        mixed_TW = self.attention(self.attention_norm(x_TW), positions, at, context)
        return x_TW + mixed_TW + self.feed_forward(self.feed_forward_norm(x_TW))  # type: ignore[no-any-return]


BLOCKS: dict[str, type[Block]] = {
    "pre": PreNorm,
    "post": PostNorm,
    "sandwich": Sandwich,
    "parallel": Parallel,
    "parallel_two_norms": ParallelTwoNorms,
    "deepnorm": DeepNorm,
}

RunBlock = Callable[[Block, Tensor, Positions, tuple[Tensor, ...], AttentionContext], Tensor]
"""How a block is run: as it is, or again in the backward pass."""


def run_block(
    block: Block, x_TW: Tensor, positions: Positions, at: tuple[Tensor, ...], context: AttentionContext
) -> Tensor:
    """As it is."""
    return block(x_TW, positions, at, context)  # type: ignore[no-any-return]
