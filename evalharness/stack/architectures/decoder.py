"""A causal decoder made of the parts that its configuration names, top to bottom.

A pass of the engine works on one line of tokens: sequences of any lengths, one after another, without padding. The
`AttentionContext` says where each begins. In training, T stands for [B, T]: a batch of sequences. Letters in names:
T tokens, R chosen rows, W width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evalharness.stack.architectures.blocks import BLOCKS, RunBlock, run_block
from evalharness.stack.config import ModelConfig
from evalharness.stack.layers.attention import AttentionContext
from evalharness.stack.layers.linear import ExactLinear, PackedLinear, can_pack, pack, rows_stand_alone
from evalharness.stack.layers.lora import effective_weight
from evalharness.stack.layers.norms import NORMS
from evalharness.stack.layers.positions import POSITIONS


class Decoder(nn.Module):
    """Embedding, blocks, final norm, vocabulary projection."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        # Given a weight, an embedding draws none: drawing normal numbers on the meta device, where checkpoints are
        # loaded into, imports torch._dynamo (2.5 s).
        inner = config.embedding_width or config.width
        weight = torch.zeros(config.vocab_size, inner)
        self.embedding = nn.Embedding.from_pretrained(weight, freeze=False)  # type: ignore[no-untyped-call]
        led = config.embedding_width is not None
        self.embedding_in = nn.Linear(inner, config.width, bias=False) if led else nn.Identity()
        norm = NORMS[config.norm]
        self.embedding_norm = norm(config.width, config.norm_epsilon) if config.embedding_norm else nn.Identity()
        self.positions = POSITIONS[config.positions](config)
        block = BLOCKS[config.residual]
        self.blocks = nn.ModuleList(block(config, layer) for layer in range(config.layers))
        self.norm = nn.Identity() if block.ends_normed else norm(config.width, config.norm_epsilon)
        self.embedding_out = nn.Linear(config.width, inner, bias=False) if led else nn.Identity()
        self.head: nn.Module = nn.Linear(inner, config.vocab_size, bias=False)
        if config.tied_embeddings:
            self.head.weight = self.embedding.weight

    def forward(self, ids_T: Tensor, positions_T: Tensor, context: AttentionContext) -> Tensor:
        """Hidden states after the last block, before the final norm: shape [T, W]."""
        return self.stream(self.embedding(ids_T), positions_T, context)

    def stream(
        self, embedded_TW: Tensor, positions_T: Tensor, context: AttentionContext, run: RunBlock = run_block
    ) -> Tensor:
        """As `forward`, from the embeddings of the tokens on; `run` says how each block is run."""
        x_TW = self.embedding_norm(self.embedding_in(embedded_TW))
        x_TW = self.positions.embedded(x_TW, positions_T)
        at = self.positions.prepare(positions_T, x_TW.dtype)
        for block in self.blocks:
            x_TW = run(block, x_TW, self.positions, at, context)  # type: ignore[arg-type]
        return x_TW

    def outputs(self, hidden_RW: Tensor) -> Tensor:
        """What the vocabulary projection is multiplied by, of the hidden states that `forward` returns."""
        return self.embedding_out(self.norm(hidden_RW))  # type: ignore[no-any-return]

    def logits(self, hidden_RW: Tensor) -> Tensor:
        """Scores of the next token in fp32, of shape [R, V], for the rows of `forward` that are wanted.

        The projection is computed in fp32 whatever the dtype of the weights, because bf16 logits tie: two
        choices of one question often get the same 8-bit mantissa.
        """
        outputs = self.outputs(hidden_RW).float()
        head = self.head
        if isinstance(head, nn.Linear):
            return F.linear(outputs, effective_weight(head).float())
        logits_RV: Tensor = head(outputs)
        return logits_RV

    def pack(self, exact: bool = False) -> None:
        """Lay the weights out for inference on a processor, where that is possible; see `layers.linear`.

        With `exact`, which an engine in that arithmetic needs on a GPU, no row of a product there depends on others.

        Raises:
            KernelError: `exact` cannot be had here.
        """
        head_VW = effective_weight(self.head).detach() if isinstance(self.head, nn.Linear) else None
        if exact and rows_stand_alone(self.device, self.dtype):
            if head_VW is not None:
                self.head = ExactLinear(head_VW, None)
            pack(self, ExactLinear)
        elif self.dtype != torch.float64 and can_pack(self.device, torch.float32):
            if head_VW is not None:
                self.head = PackedLinear(head_VW.float(), None)
            if can_pack(self.device, self.dtype):
                pack(self)

    @property
    def device(self) -> torch.device:
        device: torch.device = self.embedding.weight.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.embedding.weight.dtype
        return dtype
