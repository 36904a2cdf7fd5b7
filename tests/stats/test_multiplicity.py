import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.stats.multiplicity import benjamini_hochberg, holm


@pytest.mark.parametrize(("ours", "name"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_adjusted_p_values_are_those_of_statsmodels(ours, name, p_values):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    assert ours(p_values) == pytest.approx(multitest.multipletests(p_values, method=name)[1], abs=1e-12)


def test_nothing_tested_is_nothing_adjusted():
    assert holm([]) == benjamini_hochberg([]) == []
