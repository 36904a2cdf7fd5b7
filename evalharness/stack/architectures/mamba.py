"""Mamba (Gu and Dao 2023, arXiv:2312.00752): a language model of selective state spaces, without attention.

Any sequence may be cut anywhere: what is behind a cut is computed from the `Memory` at the cut, which has the same
size whatever was before it. One token at a time is the recurrence by which texts are generated.

Letters in names: B batch, T tokens, J blocks, W width, E inner channels, N numbers of a channel's state, R rank of the
steps, K tokens that a convolution remembers, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evalharness.stack.architectures.mamba_config import MambaConfig
from evalharness.stack.kernels.selective_scan import selective_scan
from evalharness.stack.layers.linear import PackedLinear, can_pack, pack
from evalharness.stack.layers.norms import RMSNorm

TOKENS_AT_ONCE = 512
"""Tokens that are read in one pass: on a GPU the scan holds several times as many states at once."""
TEXTS_AT_ONCE = 16
"""Continuations that are read side by side, each with a state of its own."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the blocks remember of the tokens before."""

    windows_JBKE: Tensor
    """The last inputs of each convolution: one fewer than it sees."""
    spaces_JBEN: Tensor
    """Each state h of (2a), in fp32."""


@dataclass(frozen=True, slots=True)
class TextState:
    """What is kept of one text in the plain loop; see `evalharness.stack.plain.model`."""

    hidden_W: Tensor
    """Hidden state of its last token."""
    memory: Memory
    """Behind its last token, of a batch of one."""


class StepLengths(nn.Module):
    """``Δ = softplus(W r + b)`` in fp32: the last part of s_Δ and τ_Δ of algorithm 2."""

    def __init__(self, rank: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, rank))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, steps_BTR: Tensor) -> Tensor:
        return F.softplus(F.linear(steps_BTR, self.weight).float() + self.bias.float())


class Mixer(nn.Module):
    """The block of figure 3: two branches of E channels, of which one is convolved and goes through the selective state
    space, and the other gates what comes out.

    The state space is algorithm 2 with ``A = -exp(A_log)`` (S4D-Real, section 3.6) and, of the convolved input u,

        B = Linear_N(u),   C = Linear_N(u),   Δ = softplus(parameter + Linear_E(Linear_R(u)))     (section 3.6)

    to whose output ``D u`` is added; the part x_proj computes B, C and the inner step of Δ at once. Δ and all that is
    computed of it are fp32, whatever the dtype of the weights.
    """

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        inner, rank = config.inner_width, config.time_step_rank
        self.in_proj = nn.Linear(config.width, 2 * inner, bias=config.biases)
        self.conv1d = nn.Conv1d(inner, inner, config.kernel, groups=inner, bias=config.kernel_bias)
        self.x_proj = nn.Linear(inner, rank + 2 * config.state_size, bias=False)
        self.dt_proj = StepLengths(rank, inner)
        self.A_log = nn.Parameter(torch.zeros(inner, config.state_size))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, config.width, bias=config.biases)
        self._split = [rank, config.state_size, config.state_size]

    def forward(self, x_BTW: Tensor, window_BKE: Tensor, space_BEN: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The block's output, [B, T, W], and what it remembers behind the last token in place of what it did before."""
        inner_BTE, gate_BTE = self.in_proj(x_BTW).chunk(2, dim=-1)
        seen_BTE = torch.cat([window_BKE, inner_BTE], dim=1)
        convolved_BTE = F.silu(self.conv1d(seen_BTE.transpose(1, 2)).transpose(1, 2))
        outputs_BTE, space_BEN = self._select(convolved_BTE, space_BEN)
        gated_BTE = (outputs_BTE * F.silu(gate_BTE)).to(x_BTW.dtype)
        return self.out_proj(gated_BTE), seen_BTE[:, x_BTW.shape[1] :], space_BEN

    def _select(self, u_BTE: Tensor, space_BEN: Tensor) -> tuple[Tensor, Tensor]:
        """Algorithm 2."""
        steps_BTR, B_BTN, C_BTN = self.x_proj(u_BTE).split(self._split, dim=-1)
        delta_BTE = self.dt_proj(steps_BTR)
        A_EN = -torch.exp(self.A_log.float())
        outputs_BTE, space_BEN = selective_scan(u_BTE, delta_BTE, A_EN, B_BTN, C_BTN, space_BEN)
        return outputs_BTE + self.D.float() * u_BTE.float(), space_BEN


class MambaBlock(nn.Module):
    """``x + mixer(norm(x))``."""

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        self.norm = RMSNorm(config.width, config.norm_epsilon)
        self.mixer = Mixer(config)

    def forward(self, x_BTW: Tensor, window_BKE: Tensor, space_BEN: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `Mixer.forward`."""
        normed_BTW = self.norm(x_BTW.to(self.norm.weight.dtype))
        mixed_BTW, window_BKE, space_BEN = self.mixer(normed_BTW, window_BKE, space_BEN)
        return x_BTW + mixed_BTW, window_BKE, space_BEN


class Mamba(nn.Module):
    """Embedding, blocks, final norm, vocabulary projection; a `plain.model.PlainModel`."""

    speaks_apart = False

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        self.config = config
        # Given a weight, an embedding draws none; see `architectures.decoder`.
        weight = torch.zeros(config.vocab_size, config.width)
        self.embedding = nn.Embedding.from_pretrained(weight, freeze=False)  # type: ignore[no-untyped-call]
        self.blocks = nn.ModuleList(MambaBlock(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_epsilon)
        self.head: nn.Module = nn.Linear(config.width, config.vocab_size, bias=False)
        if config.tied_embeddings:
            self.head.weight = self.embedding.weight

    def forward(self, ids_BT: Tensor, state: Memory | None = None) -> tuple[Tensor, Memory]:
        """Hidden states after the last block, before the final norm, [B, T, W], and what the blocks remember behind the
        last token; `state` is what they remember of the tokens before, if there are any."""
        state = self.blank(len(ids_BT)) if state is None else state
        x_BTW = self.embedding(ids_BT)
        if self.config.residual_fp32:
            x_BTW = x_BTW.float()
        windows, spaces = [], []
        for block, window_BKE, space_BEN in zip(self.blocks, state.windows_JBKE, state.spaces_JBEN, strict=True):
            x_BTW, window_BKE, space_BEN = block(x_BTW, window_BKE, space_BEN)
            windows.append(window_BKE)
            spaces.append(space_BEN)
        return x_BTW, Memory(torch.stack(windows), torch.stack(spaces))

    def outputs(self, hidden_RW: Tensor) -> Tensor:
        """What the vocabulary projection is multiplied by, of rows of what `forward` returns."""
        return self.norm(hidden_RW)  # type: ignore[no-any-return]

    def logits(self, hidden_RW: Tensor) -> Tensor:
        """Scores of the next token, [R, V], of rows of what `forward` returns; in fp32, as `Decoder.logits` says."""
        outputs_RW = self.outputs(hidden_RW).float()
        head = self.head
        if isinstance(head, nn.Linear):
            return F.linear(outputs_RW, head.weight.float())
        logits_RV: Tensor = head(outputs_RW)
        return logits_RV

    def blank(self, batch: int) -> Memory:
        """What is remembered before a first token: nothing."""
        layers, inner = self.config.layers, self.config.inner_width
        return Memory(
            torch.zeros(layers, batch, self.config.kernel - 1, inner, device=self.device, dtype=self.dtype),
            torch.zeros(layers, batch, inner, self.config.state_size, device=self.device),
        )

    # ----------------------------------------------------------------------- in the plain loop

    def begin(self, prompt: Sequence[int]) -> TextState:
        """The state behind a prompt."""
        hidden_BTW, memory = self._read(torch.tensor([prompt], device=self.device), self.blank(1))
        return TextState(hidden_BTW[0, -1], memory)

    def step(self, states: Sequence[TextState], tokens: Sequence[int]) -> list[TextState]:
        """Of each state, the one behind one token more: (2a) and (2b) for all texts at once."""
        hidden_BTW, memory = self(torch.tensor(tokens, device=self.device)[:, None], _together(states))
        memories = map(Memory, torch.split(memory.windows_JBKE, 1, dim=1), torch.split(memory.spaces_JBEN, 1, dim=1))
        return [TextState(hidden_W, each) for hidden_W, each in zip(hidden_BTW[:, 0], memories, strict=True)]

    def follow(self, states: Sequence[TextState], continuations: Sequence[Sequence[int]]) -> list[Tensor]:
        """Of each state the hidden states at all tokens of a continuation behind it, [T, W]."""
        found: dict[int, Tensor] = {}
        order = sorted(range(len(states)), key=lambda text: len(continuations[text]))
        for begin in range(0, len(order), TEXTS_AT_ONCE):
            texts = order[begin : begin + TEXTS_AT_ONCE]
            longest = len(continuations[texts[-1]])
            # What a shorter one is filled up with comes behind it, where it changes nothing.
            filled = [[*continuations[text], *[0] * (longest - len(continuations[text]))] for text in texts]
            ids_BT = torch.tensor(filled, device=self.device)
            hidden_BTW, _ = self._read(ids_BT, _together([states[text] for text in texts]))
            found |= zip(texts, hidden_BTW, strict=True)
        return [found[text][: len(tokens)] for text, tokens in enumerate(continuations)]

    def _read(self, ids_BT: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """As `forward`, piece by piece."""
        pieces = []
        for ids_BP in torch.split(ids_BT, max(1, TOKENS_AT_ONCE // len(ids_BT)), dim=1):
            hidden_BPW, memory = self(ids_BP, memory)
            pieces.append(hidden_BPW)
        return torch.cat(pieces, dim=1), memory

    def pack(self) -> None:
        """Lay the weights out for inference on a processor, where that is possible; see `layers.linear`."""
        if can_pack(self.device, self.dtype) and isinstance(self.head, nn.Linear):
            self.head = PackedLinear(self.head.weight.detach().float(), None)
            pack(self)

    @property
    def device(self) -> torch.device:
        device: torch.device = self.embedding.weight.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.embedding.weight.dtype
        return dtype


def _together(states: Sequence[TextState]) -> Memory:
    """What is remembered of several texts, as a batch."""
    return Memory(
        torch.cat([state.memory.windows_JBKE for state in states], dim=1),
        torch.cat([state.memory.spaces_JBEN for state in states], dim=1),
    )
