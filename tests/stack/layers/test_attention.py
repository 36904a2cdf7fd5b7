import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.stack.layers import attention
from evalharness.stack.layers.attention import causal_attention


def naive(queries, keys, values, window):
    """The definition, in fp64, row by row."""
    queries, keys, values = queries.double(), keys.double(), values.double()
    group = queries.shape[0] // keys.shape[0]
    count, seen = queries.shape[1], keys.shape[1]
    out = torch.empty_like(queries)
    for head in range(queries.shape[0]):
        for row in range(count):
            last = seen - count + row
            first = 0 if window is None else max(0, last - window + 1)
            scores = keys[head // group, first : last + 1] @ queries[head, row] / queries.shape[-1] ** 0.5
            out[head, row] = scores.softmax(0) @ values[head // group, first : last + 1]
    return out


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 40),
    past=st.integers(0, 30),
    window=st.none() | st.integers(1, 50),
    heads=st.sampled_from([(4, 4), (6, 2), (4, 1)]),
    seed=st.integers(0, 1000),
)
def test_equals_the_definition(count, past, window, heads, seed):
    random = torch.Generator().manual_seed(seed)
    queries = torch.randn(heads[0], count, 8, generator=random)
    keys, values = torch.randn(2, heads[1], past + count, 8, generator=random)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "QUERY_BLOCK", 16)
        found = causal_attention(queries, keys, values, window)
    torch.testing.assert_close(found, naive(queries, keys, values, window).float(), atol=2e-6, rtol=1e-5)
