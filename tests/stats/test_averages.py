import math

import pytest

from evalharness.errors import UsageError
from evalharness.stats.averages import macro_average, micro_average
from evalharness.stats.intervals import Estimate, mean_t

FIRST, SECOND = mean_t([0.0, 1.0, 1.0, 1.0]), mean_t([0.0, 1.0] * 8)


def test_tasks_count_alike_or_by_their_samples():
    macro, micro = macro_average([FIRST, SECOND]), micro_average([FIRST, SECOND])
    assert macro.value == pytest.approx((0.75 + 0.5) / 2)
    assert macro.standard_error == pytest.approx(math.hypot(FIRST.standard_error, SECOND.standard_error) / 2)
    assert micro.value == pytest.approx(11 / 20)
    assert micro.standard_error == pytest.approx(math.hypot(4 * FIRST.standard_error, 16 * SECOND.standard_error) / 20)
    assert macro.n == micro.n == 20
    assert macro.high - macro.value == pytest.approx(1.959964 * macro.standard_error, rel=1e-6)


def test_an_average_needs_all_its_parts():
    assert math.isnan(macro_average([FIRST, Estimate(value=math.nan, n=0)]).value)
    single = macro_average([FIRST, Estimate(value=1.0, n=1)])
    assert (single.value, single.low) == (0.875, None)


@pytest.mark.parametrize(
    ("parts", "weights"), [([], None), ([FIRST], [1, 2]), ([FIRST], [0]), ([FIRST, SECOND], [2, -1])]
)
def test_what_is_no_average_is_refused(parts, weights):
    with pytest.raises(UsageError):
        macro_average(parts, weights)
