"""What the repeats of one sample say: the chance that one of k, or all of k, are right."""

from __future__ import annotations

from math import comb

from evalharness.errors import UsageError


def pass_at(n: int, right: int, k: int) -> float:
    """Chance that at least one of k repeats, drawn from n of which ``right`` are right, is right.

    ``1 - C(n-c, k) / C(n, k)``, unbiased for the chance over k fresh repeats (Chen et al. 2021, arXiv:2107.03374).

    Raises:
        UsageError: k is not between 1 and n.
    """
    _check(n, k)
    return (comb(n, k) - comb(n - right, k)) / comb(n, k)


def pass_all(n: int, right: int, k: int) -> float:
    """Chance that all of k repeats are right: ``C(c, k) / C(n, k)`` (pass^k; Yao et al. 2024, arXiv:2406.12045).

    Raises:
        UsageError: k is not between 1 and n.
    """
    _check(n, k)
    return comb(right, k) / comb(n, k)


def _check(n: int, k: int) -> None:
    if not 1 <= k <= n:
        raise UsageError(f"{k} of {n} repeats: draw at least 1 and at most all of them.")
