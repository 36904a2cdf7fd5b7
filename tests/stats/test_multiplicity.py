import gc
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.stats.multiplicity import benjamini_hochberg, holm


@pytest.fixture(scope="module")
def multitest():
    """statsmodels, kept from collecting all garbage at every call, which takes a second beside other tests."""
    module = pytest.importorskip("statsmodels.stats.multitest")
    with patch.object(gc, "collect"):
        yield module


@pytest.mark.parametrize(("ours", "name"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_adjusted_p_values_are_those_of_statsmodels(multitest, ours, name, p_values):
    assert ours(p_values) == pytest.approx(multitest.multipletests(p_values, method=name)[1], abs=1e-12)


def test_nothing_tested_is_nothing_adjusted():
    assert holm([]) == benjamini_hochberg([]) == []
