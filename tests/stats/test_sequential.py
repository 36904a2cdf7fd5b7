import math

import numpy as np
import pytest

from evalharness.errors import UsageError
from evalharness.stats.sequential import confidence_sequence_margin, spent_alpha


def test_a_sequence_holds_at_all_times_where_repeated_intervals_do_not():
    """Over 2,000 series of 2,000 values: how often an interval misses the mean anywhere from the 50th value on."""
    random = np.random.default_rng(0)
    n = np.arange(1, 2001)
    margins = np.array([confidence_sequence_margin(int(count), 1.0) for count in n])
    missed = {"sequence": 0, "interval": 0}
    for _ in range(2000):
        means = np.abs(np.cumsum(random.normal(size=2000)) / n)[49:]
        missed["sequence"] += bool((means > margins[49:]).any())
        missed["interval"] += bool((means > 1.96 / np.sqrt(n[49:])).any())
    assert missed["sequence"] / 2000 <= 0.05
    assert missed["interval"] / 2000 > 0.3


def test_a_sequence_is_tightest_where_it_was_asked_to_be():
    margins = {at: confidence_sequence_margin(1000, 1.0, tightest_at=at) for at in (100, 1000, 10_000)}
    assert margins[1000] == min(margins.values())


def test_alpha_is_spent_and_never_more():
    assert sum(spent_alpha(look) for look in range(1, 10_000)) == pytest.approx(0.05, abs=1e-5)
    assert math.isclose(spent_alpha(1), 0.025)
    with pytest.raises(UsageError):
        spent_alpha(0)
