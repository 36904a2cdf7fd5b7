"""Attention of a batch against its definition, row by row in fp64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.kernels.ladder import Shapes
from torch import Tensor

from evalharness.stack.kernels.op import using
from evalharness.stack.training import attention
from evalharness.stack.training.attention import SHORT, BatchAttention


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


def packed_batch(length: int, *, prefix: bool) -> tuple[Tensor, Tensor | None]:
    """Documents of two sequences, and of each of them the beginning."""
    random = torch.Generator().manual_seed(length)
    documents = (torch.rand(2, length, generator=random) < 0.08).cumsum(1).int()
    begins = torch.cat((torch.ones(2, 1, dtype=torch.bool), documents[:, 1:] != documents[:, :-1]), 1)
    places = torch.arange(length)
    within = places - torch.where(begins, places, 0).cummax(1).values
    return documents, within < 3 if prefix else None


def with_gradients(context: BatchAttention, length: int, window: int | None, dtype: torch.dtype) -> list[Tensor]:
    random = torch.Generator().manual_seed(1)
    shapes = [(2, length, 4, 8), (2, length, 2, 8), (2, length, 2, 8)]
    given = [torch.randn(shape, generator=random, requires_grad=True) for shape in shapes]
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        # As the layers have them: queries and keys were turned by angles in fp32, values were not.
        values = given[2].to(dtype)
        found = context.attend(0, given[0], given[1], values, scale=0.3, window=window)
    assert found.dtype == dtype
    (found.float() * torch.randn(found.shape, generator=random)).sum().backward()
    return [found.detach().float(), *(tensor.grad for tensor in given if tensor.grad is not None)]


@pytest.mark.parametrize("kernels", ["torch", "reference", pytest.param("triton", marks=pytest.mark.long)])
@pytest.mark.parametrize("window", [None, 7])
@pytest.mark.parametrize("kind", ["plain", "documents", "prefix"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_long_sequences_see_what_short_ones_see(monkeypatch, kernels, window, kind, dtype):
    """By intervals as by masks, with their gradients."""
    documents, prefix = (None, None) if kind == "plain" else packed_batch(70, prefix=kind == "prefix")
    expected = with_gradients(BatchAttention(documents, prefix), 70, window, dtype)
    monkeypatch.setattr(attention, "SHORT", 16)
    with using(kernels):
        found = with_gradients(BatchAttention(documents, prefix), 70, window, dtype)
    close = {"atol": 4e-2, "rtol": 4e-2} if dtype == torch.bfloat16 else {"atol": 5e-6, "rtol": 1e-5}
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **close)


@pytest.mark.parametrize("kind", ["window", "documents", "prefix"])
def test_no_tensor_is_as_large_as_a_mask_of_a_long_sequence(kind):
    length = SHORT + 100
    documents, prefix = (None, None) if kind == "window" else packed_batch(length, prefix=kind == "prefix")
    with Shapes() as shapes:
        with_gradients(BatchAttention(documents, prefix), length, 50 if kind == "window" else None, torch.float32)
    assert (2, length, 4, 8) in shapes.seen
    assert shapes.largest < length**2


def test_a_short_sequence_is_one_call_of_torch():
    """The bits of trainings rest on it."""
    documents, _ = packed_batch(40, prefix=False)
    queries, keys, values = torch.randn(3, 2, 40, 4, 8, generator=torch.Generator().manual_seed(2))
    found = BatchAttention(documents).attend(0, queries, keys, values, scale=0.3, window=None)
    mask = (documents[:, None, :, None] == documents[:, None, None]) & torch.ones(40, 40, dtype=torch.bool).tril()
    parts = (tensor.transpose(1, 2) for tensor in (queries, keys, values))
    whole = torch.nn.functional.scaled_dot_product_attention(*parts, attn_mask=mask, scale=0.3)
    assert torch.equal(found, whole.transpose(1, 2))
