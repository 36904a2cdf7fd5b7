"""The engine whose attention Triton computes, in the interpreter where there is no GPU, beside torch's."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.config import ModelConfig
from evalharness.stack.engine.engine import Engine
from evalharness.stack.engine.requests import GenerateJob, Sampling, ScoreJob
from evalharness.stack.kernels.op import using

TRITON = "torch,store_kv=triton,shared_prefix_attention=triton,paged_decode=triton"
REFERENCE = TRITON.replace("triton", "reference")


class Waiting:
    def __init__(self) -> None:
        self.cancelled = False
        self.result = None

    def begin(self) -> None: ...

    def done(self, result) -> None:
        self.result = result

    def failed(self, error) -> None:
        raise error


def decode(ids) -> str:
    return "".join(chr(32 + id) for id in ids)


def score(ids, start) -> ScoreJob:
    return ScoreJob(ids=tuple(ids), start=start, listener=Waiting())


def generate(ids, max_tokens, **options) -> GenerateJob:
    return GenerateJob(ids=tuple(ids), max_tokens=max_tokens, log_probabilities=0, listener=Waiting(), **options)


def again(jobs):
    return [dataclasses.replace(job, listener=Waiting()) for job in jobs]


def serve(model, jobs, told, *, waves=1, leave=None, **options) -> list:
    """In waves; `leave` is the number of a job that is cancelled, and the step before which it is."""
    pending = [jobs[number::waves] for number in range(waves)]
    steps = 0

    def arrivals():
        nonlocal steps
        steps += 1
        if leave is not None and steps == leave[1]:
            jobs[leave[0]].listener.cancelled = True
        return pending.pop(0) if pending else []

    with using(told):
        Engine(model, decode, check=True, **options).run(arrivals, lambda: bool(pending))
    return [job.listener.result for job in jobs]


def small_model(**options) -> Decoder:
    """Two layers, one of which has a window; small, as the interpreter is slow."""
    shape = {"layers": 2, "heads": 2, "kv_heads": 1, "windows": (None, 16), "positions": "rope", **options}
    config = ModelConfig(
        vocab_size=96, width=16, head_dim=8, ffn_width=16, norm_epsilon=1e-5, max_length=256, **shape
    )  # fmt: skip
    model = Decoder(config).eval().requires_grad_(False)
    random = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data = torch.randn(parameter.shape, generator=random) * 0.4
    return model


def assert_close(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        if isinstance(theirs, tuple):
            assert [text.ids for text in ours] == [text.ids for text in theirs]
            ours, theirs = ([value for text in texts for value in text.log_probabilities] for texts in (ours, theirs))
        else:
            assert ours.greedy == theirs.greedy
            ours, theirs = ours.log_likelihoods, theirs.log_likelihoods
        torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), atol=1e-4, rtol=0)


PREAMBLE = [7, *range(20, 90)]
JOBS = [
    score([*PREAMBLE, 5, 9, 2], 70),
    score([*PREAMBLE, 5, 8], 72),
    score([4, 4, 3], 1),
    # A path of a tile that two texts share, and one text that guesses.
    generate([*PREAMBLE, 9], 2, n=2, sampling=Sampling(temperature=0.9, seed=2)),
    generate([1, 2] * 4, 3),
]


@pytest.mark.parametrize(
    ("told", "numerics"),
    [
        (REFERENCE, "fast"),
        (REFERENCE, "exact"),
        (TRITON, "fast"),
        pytest.param(TRITON, "exact", marks=pytest.mark.long),
    ],
)
def test_results_are_those_of_torch(told, numerics):
    model, options = small_model(), {"numerics": numerics, "batch_tokens": 60}
    found = serve(model, again(JOBS), told, **options)
    assert_close(found, serve(model, again(JOBS), "torch", **options))


@pytest.mark.parametrize("positions", ["alibi", pytest.param("alibi_rounded", marks=pytest.mark.long)])
def test_biases_of_alibi_come_with_the_numbers_of_a_head(positions):
    model = small_model(layers=1, kv_heads=2, windows=(), positions=positions)
    jobs = [score([*PREAMBLE[:20], 5, 8], 15), JOBS[4]]
    assert_close(serve(model, again(jobs), TRITON), serve(model, again(jobs), "torch"))


few = st.integers(0, 2)
asked_jobs = st.lists(
    st.tuples(st.sampled_from([0, 3, 71]), st.lists(few, min_size=1, max_size=9), st.booleans(), st.integers(1, 2)),
    min_size=2,
    max_size=4,
)


def jobs_of(asked):
    made = []
    for shared, ids, drawn, n in asked:
        whole = [*PREAMBLE[:shared], *ids]
        if drawn:
            made.append(generate(whole, 3, n=n, sampling=Sampling(temperature=0.9 * (n - 1), seed=len(ids))))
        else:
            made.append(score([*whole, 5], max(1, len(whole) - 2)))
    return made


def assert_bits_depend_on_the_job_alone(model, asked, batch_tokens, waves, leave):
    together = jobs_of(asked)
    options = {"numerics": "exact"}
    found = serve(model, together, TRITON, waves=waves, leave=leave, batch_tokens=batch_tokens, **options)
    for job, result in zip(jobs_of(asked), found, strict=True):
        if result is not None:
            assert serve(model, [job], TRITON, **options) == [result]


def test_exact_bits_depend_on_the_job_alone():
    asked = [(71, [1, 2], True, 2), (71, [1, 0, 1], False, 1), (0, [2, 2, 2, 2], True, 1)]
    assert_bits_depend_on_the_job_alone(small_model(), asked, 40, 2, (2, 4))


@pytest.mark.long
@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    asked=asked_jobs,
    batch_tokens=st.sampled_from([16, 50, 500]),
    waves=st.integers(1, 3),
    leave=st.none() | st.tuples(st.just(0), st.integers(2, 5)),
)
def test_exact_bits_depend_on_the_job_alone_however_asked(asked, batch_tokens, waves, leave):
    assert_bits_depend_on_the_job_alone(small_model(), asked, batch_tokens, waves, leave)
