"""Which samples of a task are run: the first n, or n drawn by a seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import islice

from evalharness.errors import UsageError
from evalharness.hashing import sha256_text
from evalharness.types import Sample


def first(samples: Iterable[Sample], n: int) -> list[Sample]:
    """The first `n` samples (``--limit``), or all where there are fewer; no more than `n` are taken from the iterable.

    Raises:
        UsageError: `n` is below 1.
    """
    _require_positive("--limit", n)
    return list(islice(samples, n))


def drawn(samples: Iterable[Sample], n: int, seed: int) -> list[Sample]:
    """`n` samples (``--sample``), drawn without replacement and stratified by subset, in their original order.

    Each subset gives its proportional share (`allocation`); within it those with the smallest
    sha256(seed, id) are taken, so the draw depends on the seed and the ids alone, never on how the rows lie.
    All are returned where there are no more than `n`.

    Raises:
        UsageError: `n` is below 1.
    """
    _require_positive("--sample", n)
    everything = list(samples)
    if n >= len(everything):
        return everything
    strata: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in everything:
        strata[sample.subset or ""].append(sample)
    shares = allocation({name: len(stratum) for name, stratum in strata.items()}, n, seed)
    taken = {
        sample.id
        for name, stratum in strata.items()
        for sample in sorted(stratum, key=lambda sample: _draw(seed, sample.id))[: shares[name]]
    }
    return [sample for sample in everything if sample.id in taken]


def allocation(sizes: Mapping[str, int], n: int, seed: int) -> dict[str, int]:
    """Seats of each stratum by largest remainder: floor(n * size / total), then one more to the largest remainders.

    The shares add up to `n` and each is within one of its proportion. A stratum whose proportion is below one
    may get nothing. Equal remainders are ordered by sha256(seed, name), so no name is favoured over all seeds.

    Requires ``0 < n <= sum(sizes)``.
    """
    total = sum(sizes.values())
    shares = {name: n * size // total for name, size in sizes.items()}
    # n * size mod total is the remainder times total: whole numbers, so equal remainders compare equal.
    order = sorted(sizes, key=lambda name: (-(n * sizes[name] % total), _draw(seed, name)))
    for name in order[: n - sum(shares.values())]:
        shares[name] += 1
    return shares


def _draw(seed: int, name: str) -> str:
    return sha256_text(f"{seed}\n{name}")


def _require_positive(option: str, n: int) -> None:
    if n <= 0:
        raise UsageError(f"{option} {n}: the number of samples must be at least 1.")
