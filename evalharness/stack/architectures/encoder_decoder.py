"""An encoder-decoder, top to bottom: T5 (Raffel et al. 2020, arXiv:1910.10683; v1.1: Shazeer 2020, arXiv:2002.05202).

The encoder reads a prompt, every token seeing all of them; the decoder says a text, every token seeing those before it
and, by cross-attention, what the encoder made of the prompt. Norms come first and have no mean and no bias; no layer
has a bias. Scores of attention are not divided by ``sqrt(D)``, and a number for the distance is added to them
(`layers.relative`), which all layers of a stack share.

Letters in names: B batch, S tokens of the prompt, T tokens of a text, R rows of several texts, L layers, W width, H
heads, D size of a head, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evalharness.stack.architectures.encoder_decoder_config import EncoderDecoderConfig
from evalharness.stack.architectures.encoder_decoder_state import EncoderDecoderState, Rows, Said
from evalharness.stack.layers.feedforward import feed_forward
from evalharness.stack.layers.linear import PackedLinear, SideBySide, can_pack, pack
from evalharness.stack.layers.norms import RMSNorm
from evalharness.stack.layers.relative import RelativePositions, attend


class DecoderContext(Protocol):
    """What the decoder's rows see."""

    def attend(self, layer: int, queries_THD: Tensor, keys_THD: Tensor, values_THD: Tensor) -> Tensor:
        """Outputs of the heads, of the queries' shape, over the text up to each query."""
        ...

    def attend_prompt(self, layer: int, queries_THD: Tensor) -> Tensor:
        """The same over the prompt."""
        ...


class SelfAttention(nn.Module):
    """The projections of ``softmax(q k^T + bias) v``."""

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        inner = config.heads * config.head_dim
        self.head_dim = config.head_dim
        self.qkv = SideBySide(
            query=nn.Linear(config.width, inner, bias=False),
            key=nn.Linear(config.width, inner, bias=False),
            value=nn.Linear(config.width, inner, bias=False),
        )
        self.output = nn.Linear(inner, config.width, bias=False)

    def project(self, x_TW: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, [T, H, D] each."""
        return self.qkv(x_TW).unflatten(-1, (-1, self.head_dim)).chunk(3, dim=-2)  # type: ignore[no-any-return]


class CrossAttention(nn.Module):
    """The projections of ``softmax(q k^T) v`` with queries of the text, and keys and values of the prompt."""

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        inner = config.heads * config.head_dim
        self.head_dim = config.head_dim
        self.query = nn.Linear(config.width, inner, bias=False)
        self.key_value = SideBySide(
            key=nn.Linear(config.width, inner, bias=False), value=nn.Linear(config.width, inner, bias=False)
        )
        self.output = nn.Linear(inner, config.width, bias=False)

    def queries(self, x_TW: Tensor) -> Tensor:
        """Of a text, [T, H, D]."""
        return self.query(x_TW).unflatten(-1, (-1, self.head_dim))  # type: ignore[no-any-return]

    def keys_and_values(self, read_SW: Tensor) -> tuple[Tensor, Tensor]:
        """Of a prompt, [H, S, D] each."""
        keys_SHD, values_SHD = self.key_value(read_SW).unflatten(-1, (-1, self.head_dim)).chunk(2, dim=-2)
        return keys_SHD.transpose(-3, -2), values_SHD.transpose(-3, -2)


class EncoderBlock(nn.Module):
    """``x + attend(norm(x))``, then ``x + feed(norm(x))``."""

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width, config.norm_epsilon)
        self.attention = SelfAttention(config)
        self.feed_forward_norm = RMSNorm(config.width, config.norm_epsilon)
        self.feed_forward = feed_forward(config.feed_forward, config.width, config.ffn_width)

    def forward(self, x_SW: Tensor, bias_HSS: Tensor) -> Tensor:
        queries, keys, values = (each.transpose(-3, -2) for each in self.attention.project(self.attention_norm(x_SW)))
        mixed_SHD = attend(queries, keys, values, bias_HSS).transpose(-3, -2)
        normed_SW, x_SW = self.feed_forward_norm.of_sum(x_SW, self.attention.output(mixed_SHD.flatten(-2)))
        return x_SW + self.feed_forward(normed_SW)  # type: ignore[no-any-return]


class DecoderBlock(nn.Module):
    """``x + attend(norm(x))``, ``x + attend_prompt(norm(x))``, then ``x + feed(norm(x))``."""

    def __init__(self, config: EncoderDecoderConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.attention_norm = RMSNorm(config.width, config.norm_epsilon)
        self.attention = SelfAttention(config)
        self.cross_attention_norm = RMSNorm(config.width, config.norm_epsilon)
        self.cross_attention = CrossAttention(config)
        self.feed_forward_norm = RMSNorm(config.width, config.norm_epsilon)
        self.feed_forward = feed_forward(config.feed_forward, config.width, config.ffn_width)

    def forward(self, x_TW: Tensor, context: DecoderContext) -> Tensor:
        mixed_THD = context.attend(self.layer, *self.attention.project(self.attention_norm(x_TW)))
        normed_TW, x_TW = self.cross_attention_norm.of_sum(x_TW, self.attention.output(mixed_THD.flatten(-2)))
        mixed_THD = context.attend_prompt(self.layer, self.cross_attention.queries(normed_TW))
        normed_TW, x_TW = self.feed_forward_norm.of_sum(x_TW, self.cross_attention.output(mixed_THD.flatten(-2)))
        return x_TW + self.feed_forward(normed_TW)  # type: ignore[no-any-return]


class Stack(nn.Module):
    """Blocks, the positions that they share, and a norm behind the last."""

    def __init__(self, config: EncoderDecoderConfig, blocks: Sequence[nn.Module], *, both_ways: bool) -> None:
        super().__init__()
        self.positions = RelativePositions(config.buckets, config.farthest, config.heads, both_ways=both_ways)
        self.blocks = nn.ModuleList(blocks)
        self.norm = RMSNorm(config.width, config.norm_epsilon)


class WholeTexts:
    """The `DecoderContext` of a batch of texts that are computed from their first token, and not kept."""

    def __init__(self, prompts: Sequence[tuple[Tensor, Tensor]], bias_HTT: Tensor, prompt_bias: Tensor | None) -> None:
        self._prompts, self._bias, self._prompt_bias = prompts, bias_HTT, prompt_bias

    def attend(self, layer: int, queries_THD: Tensor, keys_THD: Tensor, values_THD: Tensor) -> Tensor:
        queries, keys, values = (each.transpose(-3, -2) for each in (queries_THD, keys_THD, values_THD))
        return attend(queries, keys, values, self._bias).transpose(-3, -2)

    def attend_prompt(self, layer: int, queries_THD: Tensor) -> Tensor:
        return attend(queries_THD.transpose(-3, -2), *self._prompts[layer], self._prompt_bias).transpose(-3, -2)


class EncoderDecoder(nn.Module):
    """Embedding, encoder, decoder, vocabulary projection; a `evalharness.stack.plain.model.PlainModel`."""

    speaks_apart = True

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        self.config = config
        # Given a weight, an embedding draws none, which would import torch._dynamo (`architectures.decoder`).
        weight = torch.zeros(config.vocab_size, config.width)
        self.embedding = nn.Embedding.from_pretrained(weight, freeze=False)  # type: ignore[no-untyped-call]
        self.encoder = Stack(config, [EncoderBlock(config) for _ in range(config.encoder_layers)], both_ways=True)
        self.decoder = Stack(
            config, [DecoderBlock(config, layer) for layer in range(config.decoder_layers)], both_ways=False
        )
        self.head: nn.Module = nn.Linear(config.width, config.vocab_size, bias=False)
        if config.tied_embeddings:
            self.head.weight = self.embedding.weight

    def forward(self, inputs_BS: Tensor, inputs_mask_BS: Tensor | None, said_BT: Tensor) -> Tensor:
        """What the vocabulary projection is multiplied by, [B, T, W]: ``head(forward(...))`` are the logits.

        Args:
            inputs_BS: what the encoder reads.
            inputs_mask_BS: true where that is a token and not padding; None where all are tokens.
            said_BT: what the decoder is fed: `start_id`, then the text without its last token. Padding behind a text
                changes nothing before it.
        """
        hidden_BSW = self.read(inputs_BS, inputs_mask_BS)
        hidden_bias = None
        if inputs_mask_BS is not None:
            hidden_bias = torch.zeros(inputs_mask_BS.shape, dtype=hidden_BSW.dtype, device=inputs_mask_BS.device)
            hidden_bias = hidden_bias.masked_fill(~inputs_mask_BS, -torch.inf)[:, None, None]
        length = said_BT.shape[-1]
        context = WholeTexts(self._prompts(hidden_BSW), self.decoder.positions(0, length, length), hidden_bias)
        return self._say(said_BT, context)

    def read(self, inputs_BS: Tensor, inputs_mask_BS: Tensor | None = None) -> Tensor:
        """What the encoder makes of prompts, [B, S, W], or of one, [S, W]."""
        length = inputs_BS.shape[-1]
        bias_HSS = self.encoder.positions(0, length, length)
        if inputs_mask_BS is not None:
            bias_HSS = bias_HSS.masked_fill(~inputs_mask_BS[:, None, None], -torch.inf)
        x_BSW = self.embedding(inputs_BS)
        for block in self.encoder.blocks:
            x_BSW = block(x_BSW, bias_HSS)
        return self.encoder.norm(x_BSW)  # type: ignore[no-any-return]

    def _prompts(self, read_SW: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of a prompt for each layer of the decoder."""
        return [block.cross_attention.keys_and_values(read_SW) for block in self.decoder.blocks]  # type: ignore[operator,union-attr]

    def _say(self, said_T: Tensor, context: DecoderContext) -> Tensor:
        x_TW: Tensor = self.embedding(said_T)
        for block in self.decoder.blocks:
            x_TW = block(x_TW, context)
        x_TW = self.decoder.norm(x_TW)
        return x_TW * self.config.width**-0.5 if self.config.scaled_outputs else x_TW

    def outputs(self, hidden_RW: Tensor) -> Tensor:
        """What the vocabulary projection is multiplied by: the decoder's norm is in what `forward` returns."""
        return hidden_RW

    def logits(self, hidden_RW: Tensor) -> Tensor:
        """Scores of the next token in fp32 whatever the dtype of the weights, [R, V]; see `Decoder.logits`."""
        outputs_RW = self.outputs(hidden_RW).float()
        if isinstance(self.head, nn.Linear):
            return F.linear(outputs_RW, self.head.weight.float())
        logits_RV: Tensor = self.head(outputs_RW)
        return logits_RV

    # ----------------------------------------------------------------------- token by token

    def begin(self, prompt: Sequence[int]) -> EncoderDecoderState:
        """The state behind a prompt, whose text has nothing but `start_id` yet."""
        read_SW = self.read(torch.tensor(prompt, device=self.device))
        read_LHSD = torch.stack([torch.stack(each) for each in self._prompts(read_SW)])
        nothing = EncoderDecoderState(read_SW[-1], read_LHSD, Said.empty(read_LHSD), 0)
        return self.step([nothing], [self.config.start_id])[0]

    def step(self, states: Sequence[EncoderDecoderState], tokens: Sequence[int]) -> list[EncoderDecoderState]:
        """Of each state the one behind one token more."""
        said = [state.said.behind(state.length, 1) for state in states]
        hidden_RW = self._rows(states, said, [[token] for token in tokens])
        return [
            EncoderDecoderState(hidden_W, state.read, kept, state.length + 1)
            for hidden_W, state, kept in zip(hidden_RW, states, said, strict=True)
        ]

    def follow(self, states: Sequence[EncoderDecoderState], continuations: Sequence[Sequence[int]]) -> list[Tensor]:
        """Of each state the hidden states at all tokens of a continuation behind it, [T, W]."""
        said = [
            state.said.copied(state.length, len(tokens)) for state, tokens in zip(states, continuations, strict=True)
        ]
        hidden_RW = self._rows(states, said, continuations)
        return list(torch.split(hidden_RW, [len(tokens) for tokens in continuations]))

    def _rows(
        self, states: Sequence[EncoderDecoderState], said: Sequence[Said], tokens: Sequence[Sequence[int]]
    ) -> Tensor:
        """One pass over the next tokens of several texts, one after another, [R, W]."""
        counts = [len(each) for each in tokens]
        starts = [state.length for state in states]
        # The queries of a text are the first rows of this, and its keys end where they do.
        bias = self.decoder.positions(max(starts), max(counts), max(starts) + max(counts)).to(self.dtype)
        context = Rows(bias, [state.read for state in states], said, starts, counts)
        return self._say(torch.tensor([id for each in tokens for id in each], device=self.device), context)

    # ----------------------------------------------------------------------- as it is computed

    def pack(self) -> None:
        """Lay the weights out for inference on a processor, where that is possible; see `layers.linear`."""
        if can_pack(self.device, self.dtype) and isinstance(self.head, nn.Linear):
            self.head = PackedLinear(self.head.weight.detach().float(), None)
            pack(self)

    @property
    def vocab_size(self) -> int:
        return self.config.vocab_size

    @property
    def device(self) -> torch.device:
        device: torch.device = self.embedding.weight.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.embedding.weight.dtype
        return dtype
