"""A causal decoder of the Llama family, top to bottom.

A pass works on one line of tokens: sequences of any lengths, one after another, without padding. The
`AttentionContext` says where each begins. Letters in names: T tokens, R chosen rows, W width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evalharness.stack.config import ModelConfig
from evalharness.stack.layers.attention import Attention, AttentionContext
from evalharness.stack.layers.feedforward import GatedFeedForward
from evalharness.stack.layers.linear import PackedLinear, can_pack, pack
from evalharness.stack.layers.norms import RMSNorm
from evalharness.stack.layers.positions import Rotation, rotary_frequencies, rotation


class Decoder(nn.Module):
    """Embedding, blocks, final norm, vocabulary projection."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.frequencies = rotary_frequencies(config.head_dim, config.rope_theta, config.rope_scaling)
        # Given a weight, an embedding draws none: drawing normal numbers on the meta device, where checkpoints are
        # loaded into, imports torch._dynamo (2.5 s).
        weight = torch.zeros(config.vocab_size, config.width)
        self.embedding = nn.Embedding.from_pretrained(weight, freeze=False)  # type: ignore[no-untyped-call]
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_epsilon)
        self.head: nn.Module = nn.Linear(config.width, config.vocab_size, bias=False)
        if config.tied_embeddings:
            self.head.weight = self.embedding.weight

    def forward(self, ids_T: Tensor, positions_T: Tensor, context: AttentionContext) -> Tensor:
        """Hidden states after the last block, before the final norm: shape [T, W]."""
        x_TW = self.embedding(ids_T)
        by = rotation(positions_T, self.frequencies, x_TW.dtype)
        for block in self.blocks:
            x_TW = block(x_TW, by, context)
        return x_TW  # type: ignore[no-any-return]

    def logits(self, hidden_RW: Tensor) -> Tensor:
        """Scores of the next token in fp32, of shape [R, V], for the rows of `forward` that are wanted.

        The projection is computed in fp32 whatever the dtype of the weights, because bf16 logits tie: two
        choices of one question often get the same 8-bit mantissa.
        """
        normed = self.norm(hidden_RW).float()
        head = self.head
        if isinstance(head, nn.Linear):
            return F.linear(normed, head.weight.float())
        logits_RV: Tensor = head(normed)
        return logits_RV

    def pack(self) -> None:
        """Lay the weights out for inference on a processor, where that is possible; see `layers.linear`."""
        head = self.head
        if can_pack(self.device, self.dtype) and isinstance(head, nn.Linear):
            self.head = PackedLinear(head.weight.detach().float(), None)
            pack(self)

    @property
    def device(self) -> torch.device:
        device: torch.device = self.embedding.weight.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.embedding.weight.dtype
        return dtype


class Block(nn.Module):
    """``x + attention(norm(x))``, then ``x + feed_forward(norm(x))``."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width, config.norm_epsilon)
        self.attention = Attention(
            layer=layer,
            width=config.width,
            heads=config.heads,
            kv_heads=config.kv_heads,
            head_dim=config.head_dim,
            qkv_bias=config.qkv_bias,
            output_bias=config.output_bias,
            qk_norm_epsilon=config.norm_epsilon if config.qk_norm else None,
            window=config.window(layer),
        )
        self.feed_forward_norm = RMSNorm(config.width, config.norm_epsilon)
        self.feed_forward = GatedFeedForward(config.width, config.ffn_width, config.activation)

    def forward(self, x_TW: Tensor, by: Rotation, context: AttentionContext) -> Tensor:
        x_TW = x_TW + self.attention(self.attention_norm(x_TW), by, context)
        return x_TW + self.feed_forward(self.feed_forward_norm(x_TW))  # type: ignore[no-any-return]
