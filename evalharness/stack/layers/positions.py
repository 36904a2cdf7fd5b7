"""How positions are told apart, by name: added to the embedding, or put into each layer's queries and keys.

Letters in names: T tokens, W width, H query heads, G key heads, N both, D size of a head.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from evalharness.stack.config import ALIBI_DIMS, ModelConfig
from evalharness.stack.kernels.rope import rope
from evalharness.stack.layers.rotary import rotary_frequencies, rotation, sharpening


class Positions(nn.Module):
    """What every way has; by itself it is `none`: no positions but the order that the causal mask tells (Haviv et al.
    2022, arXiv:2203.16634)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.scale = config.head_dim**-0.5
        """What attention multiplies scores by."""

    def embedded(self, x_TW: Tensor, positions_T: Tensor) -> Tensor:
        """The embedding with positions in it."""
        return x_TW

    def prepare(self, positions_T: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """What `place` needs of these positions; made once a pass, as all layers place alike."""
        return ()

    def place(self, qk_TND: Tensor, heads: int, at: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Queries, which are the first `heads` of the heads, and keys with positions in them."""
        queries_THD, keys_TGD = torch.split(qk_TND, [heads, qk_TND.shape[-2] - heads], dim=-2)
        return queries_THD, keys_TGD


class Sinusoidal(Positions):
    """``x + sin(p w_i)`` at the even and ``x + cos(p w_i)`` at the odd numbers, ``w_i = 10000^(-2i/W)``.

    Vaswani et al. 2017, arXiv:1706.03762, section 3.5.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.frequencies = rotary_frequencies(config.width, 10_000.0)

    def embedded(self, x_TW: Tensor, positions_T: Tensor) -> Tensor:
        angles = positions_T.float()[..., None] * self.frequencies.to(positions_T.device)
        added_TW = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)
        return x_TW + added_TW[..., : x_TW.shape[-1]].to(x_TW.dtype)


class Learned(Positions):
    """``x + table[p]``, a vector that is learned for each position up to `max_length` (Gehring et al. 2017,
    arXiv:1705.03122; GPT-2)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.weight = nn.Parameter(torch.zeros(config.max_length, config.width))

    def embedded(self, x_TW: Tensor, positions_T: Tensor) -> Tensor:
        return x_TW + nn.functional.embedding(positions_T, self.weight)


class Rope(Positions):
    """Each pair of numbers of a head is turned by an angle that grows with the position (`layers.rotary`).

    Su et al. 2021, arXiv:2104.09864. With `rotary_dim`, only that many numbers at the front of a head are turned
    (GPT-NeoX, Black et al. 2022, arXiv:2204.06745).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.turned = config.rotary_dim or config.head_dim
        self.frequencies = rotary_frequencies(self.turned, config.rope_theta, config.rope_scaling)
        self.sharpening = sharpening(config.rope_scaling)

    def prepare(self, positions_T: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        return rotation(positions_T, self.frequencies, dtype, self.sharpening)

    def place(self, qk_TND: Tensor, heads: int, at: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        return super().place(rope(qk_TND, at[0], at[1]), heads, at)


class XPos(Rope):
    """RoPE whose pairs fade with the distance: queries times ``z_i^(p/512)``, keys times ``z_i^(-p/512)``, with
    ``z_i = (2i/D + 0.4) / 1.4``. Numbers that `rotary_dim` leaves alone do not fade.

    Sun et al. 2022, arXiv:2212.10554, section 3.
    """

    GAMMA, SCALE_BASE = 0.4, 512

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        pairs = torch.arange(0, self.turned, 2, dtype=torch.float32, device="cpu") / self.turned
        log_fading = ((pairs + self.GAMMA) / (1 + self.GAMMA)).log().repeat(2) / self.SCALE_BASE
        self.log_fading = nn.functional.pad(log_fading, (0, config.head_dim - self.turned))

    def prepare(self, positions_T: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        powers = positions_T.float()[..., None, None] * self.log_fading.to(positions_T.device)
        return *super().prepare(positions_T, dtype), powers.exp().to(dtype), (-powers).exp().to(dtype)

    def place(self, qk_TND: Tensor, heads: int, at: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        queries, keys = super().place(qk_TND, heads, at[:2])
        return queries * at[2], keys * at[3]


class Alibi(Positions):
    """Scores fall with the distance: ``q_i k_j / sqrt(D) - m_h (i - j)`` with a slope for each head.

    Press et al. 2021, arXiv:2108.12409. The term is written as more numbers of each head, so that attention need not
    know of it: with ``p = 256 a + b``, keys get ``(a_j, b_j, 1, 1, 1)`` and queries ``(256 m, m, c, c', c'')``, where
    the last three add up to ``-m i``. Split like that, every number is exact in bf16, and so is the distance: without
    the last three, which attention could not see the lack of, scores would be as large as the position and rounded
    like it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        # Queries are scaled here, so that nobody rounds what is added to them.
        self.query_scale, self.scale = self.scale, 1.0
        self.slopes = torch.tensor(alibi_slopes(config.heads), device="cpu")

    def prepare(self, positions_T: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        high, low = (positions_T // 256).to(dtype), (positions_T % 256).to(dtype)
        slopes_TH = self.slopes.to(high).expand(*high.shape, -1)
        numbers = [256 * slopes_TH, slopes_TH]
        rest_TH = -slopes_TH.float() * positions_T.float()[..., None]
        for _ in range(3):
            numbers.append(rest_TH.to(dtype))
            rest_TH = rest_TH - numbers[-1].float()
        queries_THD = torch.stack(numbers, dim=-1)
        ones = torch.ones_like(high)
        keys_T1D = torch.stack((high, low, ones, ones, ones), dim=-1)[..., None, :]
        room = (0, ALIBI_DIMS - len(numbers))
        return nn.functional.pad(queries_THD, room), nn.functional.pad(keys_T1D, room)

    def place(self, qk_TND: Tensor, heads: int, at: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        queries, keys = super().place(qk_TND, heads, at)
        more_queries = at[0].expand(*queries.shape[:-1], ALIBI_DIMS)
        more_keys = at[1].expand(*keys.shape[:-1], ALIBI_DIMS)
        return torch.cat((queries * self.query_scale, more_queries), dim=-1), torch.cat((keys, more_keys), dim=-1)


class RoundedAlibi(Positions):
    """ALiBi as Falcon was trained with it: ``(q_i k_j + bf16(bf16(m_h) j)) / sqrt(D)``, which differs from `alibi` in
    the place of the root, and in being rounded to bf16, as far positions are.

    What is rounded has to be kept for each query head, so that key heads cannot be shared.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.slopes = torch.tensor(alibi_slopes(config.heads), device="cpu").bfloat16()

    def prepare(self, positions_T: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        # A position is rounded too before it is multiplied: torch computes whole numbers times bf16 in bf16.
        biases_TH = self.slopes.to(positions_T.device) * positions_T[..., None]
        room = (0, ALIBI_DIMS - 1)
        keys_THD = nn.functional.pad(biases_TH.to(dtype)[..., None], room)
        return nn.functional.pad(torch.ones_like(keys_THD[..., :1]), room), keys_THD

    def place(self, qk_TND: Tensor, heads: int, at: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        queries, keys = super().place(qk_TND, heads, at)
        more_queries, more_keys = (more.expand(*queries.shape[:-1], ALIBI_DIMS) for more in at)
        return torch.cat((queries, more_queries), dim=-1), torch.cat((keys, more_keys), dim=-1)


def alibi_slopes(heads: int) -> list[float]:
    """``2^(-8h/H)`` for h = 1..H where H is a power of two; else those of the next smaller power, and every second one
    of the next larger."""
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2.0 ** (-8 * (head + 1) / power) for head in range(power)]
    between = [2.0 ** (-4 * (head + 1) / power) for head in range(0, 2 * power, 2)]
    return slopes + between[: heads - power]


POSITIONS: dict[str, Callable[[ModelConfig], Positions]] = {
    "none": Positions,
    "sinusoidal": Sinusoidal,
    "learned": Learned,
    "rope": Rope,
    "xpos": XPos,
    "alibi": Alibi,
    "alibi_rounded": RoundedAlibi,
}
