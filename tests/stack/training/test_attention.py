"""Attention of a batch against its definition, row by row in fp64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from evalharness.stack.training.attention import BatchAttention


def definition(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    window: int | None,
    documents: Tensor | None,
    prefix: Tensor | None,
) -> Tensor:
    queries, keys, values = queries.double(), keys.double(), values.double()
    group = queries.shape[2] // keys.shape[2]
    out = torch.empty_like(queries)
    for b in range(queries.shape[0]):
        for i in range(queries.shape[1]):
            seen = [j for j in range(queries.shape[1]) if j <= i and (window is None or i - j < window)]
            if prefix is not None and prefix[b, i]:
                seen = sorted({*seen, *prefix[b].nonzero()[:, 0].tolist()})
            if documents is not None:
                seen = [j for j in seen if documents[b, j] == documents[b, i]]
            for head in range(queries.shape[2]):
                scores = keys[b, seen, head // group] @ queries[b, i, head] * 0.3
                out[b, i, head] = scores.softmax(0) @ values[b, seen, head // group]
    return out


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(1, 20),
    heads=st.sampled_from([(4, 4), (6, 2), (4, 1)]),
    window=st.none() | st.integers(1, 25),
    with_documents=st.booleans(),
    with_prefix=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_equals_the_definition(length, heads, window, with_documents, with_prefix, seed):
    random = torch.Generator().manual_seed(seed)
    queries = torch.randn(2, length, heads[0], 8, generator=random)
    keys, values = torch.randn(2, 2, length, heads[1], 8, generator=random)
    documents = torch.randint(0, 2, (2, length), generator=random).cumsum(1).int() if with_documents else None
    prefix = torch.rand(2, length, generator=random) < 0.4 if with_prefix else None
    context = BatchAttention(documents, prefix)
    expected = definition(queries, keys, values, window, documents, prefix).float()
    for layer in (0, 1):  # the second reads the mask of the first
        found = context.attend(layer, queries, keys, values, scale=0.3, window=window)
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("window", [None, 3])
def test_nothing_of_another_document_reaches_a_gradient(window):
    documents = torch.tensor([[0, 0, 0, 1, 1, 2, 2, 2]])
    queries, keys, values = (torch.randn(1, 8, 2, 8, requires_grad=True) for _ in range(3))
    BatchAttention(documents).attend(0, queries, keys, values, scale=0.3, window=window)[:, 3:5].sum().backward()
    for tensor in (queries, keys, values):
        touched = tensor.grad.abs().sum((0, 2, 3)) > 0
        assert touched[[0, 1, 2, 5, 6, 7]].logical_not().all()
    assert (values.grad.abs().sum((0, 2, 3)) > 0)[3:5].all()
