import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.errors import UsageError
from evalharness.stats.agreement import cohen_kappa, fleiss_kappa, gwet_ac, krippendorff_alpha

LABELS = st.integers(1, 4)
TWO = st.lists(st.tuples(LABELS, LABELS), min_size=3, max_size=30)


@given(TWO, st.sampled_from([("nominal", None), ("ordinal", "linear"), ("interval", "quadratic")]))
def test_cohens_kappa_is_scikit_learns(pairs, weights):
    metrics = pytest.importorskip("sklearn.metrics")
    first, second = zip(*pairs, strict=True)
    ours, theirs = weights
    if len({*first, *second}) == 1:
        assert math.isnan(cohen_kappa(first, second, ours))
        return
    expected = metrics.cohen_kappa_score(first, second, weights=theirs)
    if not math.isnan(expected):
        assert cohen_kappa(first, second, ours) == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.lists(LABELS, min_size=4, max_size=4), min_size=3, max_size=20))
def test_fleiss_kappa_is_that_of_statsmodels(ratings):
    raters = pytest.importorskip("statsmodels.stats.inter_rater")
    if len({label for unit in ratings for label in unit}) == 1:
        assert math.isnan(fleiss_kappa(ratings))
        return
    table, _ = raters.aggregate_raters(np.array(ratings))
    assert fleiss_kappa(ratings) == pytest.approx(raters.fleiss_kappa(table), abs=1e-9)


@given(
    st.lists(st.lists(st.none() | LABELS, min_size=3, max_size=3), min_size=3, max_size=20),
    st.sampled_from(["nominal", "ordinal", "interval"]),
)
def test_krippendorffs_alpha_is_that_of_his_package(ratings, level):
    package = pytest.importorskip("krippendorff")
    pairable = [[label for label in unit if label is not None] for unit in ratings]
    labels = {label for unit in pairable if len(unit) > 1 for label in unit}
    if len(labels) < 2:
        assert math.isnan(krippendorff_alpha(ratings, level))
        return
    data = np.array([[math.nan if label is None else label for label in unit] for unit in ratings], dtype=float).T
    expected = package.alpha(reliability_data=data, level_of_measurement=level)
    assert krippendorff_alpha(ratings, level) == pytest.approx(expected, abs=1e-9)


def test_gwets_ac1_holds_where_kappa_falls():
    """Gwet 2008's paradox: 118 of 125 units agree, nearly all on one label."""
    ratings = [("+", "+")] * 118 + [("+", "-")] * 5 + [("-", "+")] * 2
    first, second = zip(*ratings, strict=True)
    assert cohen_kappa(first, second) == pytest.approx(-0.0234, abs=5e-4)
    assert gwet_ac(ratings) == pytest.approx(0.9408, abs=5e-4)


@given(TWO)
def test_gwets_ac1_follows_its_definition(pairs):
    labels = sorted({label for pair in pairs for label in pair})
    if len(labels) == 1:
        assert gwet_ac(pairs) == 1
        return
    agreed = sum(first == second for first, second in pairs) / len(pairs)
    shares = [sum(pair.count(label) for pair in pairs) / (2 * len(pairs)) for label in labels]
    chance = sum(share * (1 - share) for share in shares) / (len(labels) - 1)
    assert gwet_ac(pairs) == pytest.approx((agreed - chance) / (1 - chance), abs=1e-9)


def test_what_cannot_agree_is_refused():
    with pytest.raises(UsageError):
        cohen_kappa([1], [1, 2])
    with pytest.raises(UsageError):
        fleiss_kappa([[1, None]])
    with pytest.raises(UsageError):
        gwet_ac([[1, None]])
    with pytest.raises(UsageError, match="numbers"):
        krippendorff_alpha([["a", "b"]], "interval")
