"""Scores and draws of the engine through the ops: whichever implementation computes, and without logits of all rows."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from stack.kernels.ladder import Shapes

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.config import ModelConfig
from evalharness.stack.engine.engine import Engine
from evalharness.stack.engine.requests import GenerateJob, Sampling, ScoreJob, answers
from evalharness.stack.engine.scoring import score_rows
from evalharness.stack.kernels.linear_scoring import heads
from evalharness.stack.kernels.op import using
from evalharness.stack.layers.attention import WholeSequence

VOCABULARY, WIDTH = 211, 24
"""No other tensor of the model has an axis of the vocabulary's size."""


@pytest.fixture(scope="module")
def model() -> Decoder:
    config = ModelConfig(
        architecture="llama", vocab_size=VOCABULARY, width=WIDTH, layers=1, heads=3, kv_heads=1, head_dim=8,
        ffn_width=40, norm_epsilon=1e-5, rope_theta=10_000.0, max_length=512,
    )  # fmt: skip
    model = Decoder(config)
    random = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data = torch.randn(parameter.shape, generator=random) * 0.4
    return model.eval().requires_grad_(False)


def questions(count=6, length=40):
    """The four letters behind questions that begin alike, and longer continuations of one."""
    random = torch.Generator().manual_seed(2)
    ids = torch.randint(0, VOCABULARY, (count, length), generator=random)
    ids[:, : length // 2] = ids[0, : length // 2]
    asked = [(*question, letter) for question in ids.tolist() for letter in (5, 6, 7, 8)]
    asked += [(*ids[0].tolist(), *ids[other, -5:].tolist()) for other in (1, 2)]
    return [ScoreJob(ids=each, start=length) for each in asked]


def served(model, jobs, **options):
    return answers(Engine(model, lambda ids: "", check=True, **options), jobs)


@pytest.mark.parametrize("numerics", ["fast", "exact"])
@pytest.mark.parametrize("kind", ["plain", "packed", "bfloat16"])
def test_scores_of_triton_are_those_of_torch(model, kind, numerics):
    """To fp32's rounding with weights of bf16 too, whose products fp32 holds exactly."""
    if kind != "plain":
        model = deepcopy(model)
        model.pack() if kind == "packed" else model.bfloat16()
    with using("torch"):
        expected = served(model, questions(), numerics=numerics)
    with using("torch,linear_scoring=triton"):
        found = served(model, questions(), numerics=numerics)
    assert any(any(scores.greedy) for scores in expected) or kind == "bfloat16"
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.log_likelihoods == pytest.approx(theirs.log_likelihoods, abs=2e-5)
        assert ours.greedy == theirs.greedy


@pytest.mark.parametrize("implementation", ["reference", "torch", "triton"])
def test_each_row_answers_those_who_ask_it(model, implementation):
    hidden = torch.randn(9, WIDTH, generator=torch.Generator().manual_seed(3))
    rows, targets = [4, 0, 4, 8, 4, 0], [1, 210, 3, 0, 0, 9]
    logs = model.logits(hidden).log_softmax(-1)
    targets[1] = int(logs[0].argmax())
    with using(f"torch,linear_scoring={implementation}"):
        values, greedy = score_rows(model, hidden, rows, targets)
        assert score_rows(model, hidden[:0], [], []) == ([], [])
    assert values == pytest.approx(logs[rows, targets].tolist(), abs=1e-5)
    assert greedy == (logs[rows].argmax(-1) == torch.tensor(targets)).tolist()
    assert greedy[1]


@pytest.mark.parametrize(("implementation", "rows"), [("torch", 8), ("triton", 0)])
def test_no_operation_of_a_run_sees_logits_of_more_than_a_chunk(model, implementation, rows, monkeypatch):
    """Of 62 wanted rows among 300 tokens torch makes the logits of 8 at a time, the Triton kernel those of none."""
    monkeypatch.setitem(heads.LOGITS_AT_ONCE, "cpu", 8 * VOCABULARY)
    tokens = torch.randint(0, VOCABULARY, (300,), generator=torch.Generator().manual_seed(4)).tolist()
    jobs = [ScoreJob(ids=(*tokens, 3), start=start) for start in (240, 300)]
    with using(f"torch,linear_scoring={implementation}"), Shapes() as shapes:
        served(model, jobs)
    # The weight lies either way; of one axis are the results.
    of_weight = {(VOCABULARY, WIDTH), (WIDTH, VOCABULARY)}
    seen = {shape for shape in shapes.seen if VOCABULARY in shape and len(shape) > 1} - of_weight
    assert max((torch.Size(shape).numel() // VOCABULARY for shape in seen), default=0) == rows
    # The check would see them: by hand, all are there at once.
    with Shapes() as shapes, torch.inference_mode():
        model.logits(model(torch.tensor(tokens), torch.arange(300), WholeSequence()))
    assert (300, VOCABULARY) in shapes.seen


def test_texts_are_the_same_whichever_implementation_draws(model):
    samplings = (
        Sampling(), Sampling(temperature=1.0, seed=1), Sampling(temperature=0.8, top_p=0.9, seed=2),
        Sampling(temperature=1.2, top_k=9, min_p=0.05, repetition_penalty=1.1, seed=3),
    )  # fmt: skip

    def texts():
        jobs = [
            GenerateJob(ids=(3, number), max_tokens=4, sampling=sampling) for number, sampling in enumerate(samplings)
        ]
        return [text.ids for (text,) in served(model, jobs)]

    drawn = {}
    for implementation in ("reference", "torch", "triton"):
        with using(f"torch,sampling={implementation}"):
            drawn[implementation] = texts()
    assert drawn["reference"] == drawn["torch"] == drawn["triton"]
    assert len({id for ids in drawn["torch"] for id in ids}) > 8
