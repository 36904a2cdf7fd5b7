"""Two systems' zeros and ones on the same samples: what is told by the samples that only one of them got right.

``fixed`` counts samples that the candidate got right and the baseline wrong, ``broken`` the reverse. Differences are
candidate minus baseline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from evalharness.errors import UsageError

_NORMAL = NormalDist()
_HALVINGS = 60
"""Steps of a bisection of [-1, 1]: further ones change no double."""


@dataclass(frozen=True, slots=True)
class Flips:
    """Counts of n pairs, and the score test of their difference (Tango 1998, Statistics in Medicine 17).

    Where samples share sources, the counts are divided by the design effect and are then no whole numbers: so many
    independent pairs would tell as much (as Korn and Graubard 1998, Survey Methodology 24, do for one proportion).

    A difference δ is judged by the error that it would have itself, not by that of the observed one:
    ``z(δ) = (fixed - broken - n δ) / √(n (2 q + δ - δ²))`` with q the likeliest chance of a broken sample under δ,
    the larger root of ``2n q² - (fixed + broken - (2n - fixed + broken) δ) q - broken δ (1 - δ) = 0``. As Wilson's
    interval of one proportion, this holds its level where few samples flip, and says something where none does.
    """

    fixed: float
    broken: float
    n: float

    def __post_init__(self) -> None:
        if min(self.fixed, self.broken) < 0 or self.fixed + self.broken > self.n * (1 + 1e-9) or self.n <= 0:
            raise UsageError(f"{self.fixed} fixed and {self.broken} broken are no counts of {self.n} pairs.")

    @property
    def difference(self) -> float:
        return (self.fixed - self.broken) / self.n

    def score(self, difference: float) -> float:
        """z of the observed counts if the true difference were `difference`, which lies in (-1, 1)."""
        n, fixed, broken = self.n, self.fixed, self.broken
        linear = (2 * n - fixed + broken) * difference - fixed - broken
        constant = -broken * difference * (1 - difference)
        chance = (math.sqrt(max(0.0, linear * linear - 8 * n * constant)) - linear) / (4 * n)
        spread = n * (2 * chance + difference * (1 - difference))
        off = fixed - broken - n * difference
        if spread <= 0:
            return 0.0 if off == 0 else math.copysign(math.inf, off)
        return off / math.sqrt(spread)

    def bound(self, alpha: float, side: Literal["upper", "lower"]) -> float:
        """The one-sided confidence bound of level 1 - alpha: where the score crosses the normal quantile."""
        wanted = _NORMAL.inv_cdf(1 - alpha) * (1 if side == "lower" else -1)
        low, high = -1.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.score(middle) > wanted else (low, middle)
        return (low + high) / 2

    @property
    def p_value(self) -> float:
        """Two-sided p of no difference; its statistic is McNemar's."""
        return 2 * _NORMAL.cdf(-abs(self.score(0.0)))

    def p_at_least(self, difference: float) -> float:
        """One-sided p that the true difference is at least so large."""
        return _NORMAL.cdf(self.score(difference))


def mcnemar(fixed: int, broken: int, mid_p: bool = False) -> float:
    """Two-sided p of McNemar's test: of the samples that one side alone got right, is either side's share off a half?

    Exact: twice the smaller binomial(fixed + broken, 1/2) tail, at most 1. Mid-p counts half of the observed outcome
    only, which is less conservative and still holds its level (Fagerland et al. 2013, BMC Med. Res. Methodol. 13:91).

    Raises:
        UsageError: a negative count.
    """
    from scipy.special import bdtr

    if fixed < 0 or broken < 0:
        raise UsageError(f"counts of flips must not be negative, not {fixed} and {broken}.")
    n, low = fixed + broken, min(fixed, broken)
    if n == 0:
        return 1.0
    tail = float(bdtr(low, n, 0.5))
    if mid_p:
        exactly = tail - (float(bdtr(low - 1, n, 0.5)) if low else 0.0)
        return min(1.0, 2 * tail - exactly) if fixed != broken else 1.0
    return min(1.0, 2 * tail)
