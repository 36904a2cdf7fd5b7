from itertools import combinations, product
from statistics import fmean

import pytest

from evalharness.errors import UsageError
from evalharness.stats.repeats import pass_all, pass_at


@pytest.mark.parametrize("n", range(1, 6))
def test_the_formulas_are_the_counted_draws(n):
    for values in product((0, 1), repeat=n):
        for k in range(1, n + 1):
            draws = list(combinations(values, k))
            assert pass_at(n, sum(values), k) == pytest.approx(fmean(any(draw) for draw in draws), abs=1e-12)
            assert pass_all(n, sum(values), k) == pytest.approx(fmean(all(draw) for draw in draws), abs=1e-12)


@pytest.mark.parametrize("k", [0, 4])
def test_k_is_bounded_by_the_repeats(k):
    with pytest.raises(UsageError, match=f"{k} of 3 repeats"):
        pass_at(3, 1, k)
    with pytest.raises(UsageError, match=f"{k} of 3 repeats"):
        pass_all(3, 1, k)
