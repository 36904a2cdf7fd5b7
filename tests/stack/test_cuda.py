"""The stack on a GPU beside the same on the processor; skipped where there is none."""

from __future__ import annotations

import copy

import pytest
import torch

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.initial import initialize
from evalharness.stack.architectures.options import ModelOptions
from evalharness.stack.engine.engine import Engine
from evalharness.stack.engine.requests import GenerateJob, Sampling, ScoreJob, answers
from evalharness.stack.layers.attention import WholeSequence
from evalharness.stack.training.groups import OptimizerRule
from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.objectives import Batch
from evalharness.stack.training.optimizers import make_optimizers
from evalharness.stack.training.processes import Processes
from evalharness.stack.training.step import backward, update

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")

VOCABULARY, LENGTH = 96, 300
PARTS = {
    "llama": {},
    "gpt2": {"norm": "layer_norm", "feed_forward": "gelu_tanh", "positions": "learned", "biases": "all"},
    "alibi-multi-query": {"positions": "alibi", "kv_heads": 1},
    "xpos-sandwich": {"positions": "xpos", "residual": "sandwich", "feed_forward": "geglu"},
    "window-qk-norm": {"window": 40, "full_every": 2, "qk_norm": True, "kv_heads": 2},
    "deepnorm-sinusoidal": {"residual": "deepnorm", "positions": "sinusoidal", "norm": "layer_norm"},
}


@pytest.fixture(params=PARTS)
def decoder(request) -> Decoder:
    options = ModelOptions.model_validate({"layers": 3, "width": 64, "heads": 4, **PARTS[request.param]})
    model = Decoder(options.to_config(VOCABULARY, 2 * LENGTH, None, ()))
    initialize(model, 5, 0.08)
    return model


def sequences() -> list[tuple[int, ...]]:
    """Some that share their beginnings, longer than ALiBi's split of positions."""
    random = torch.Generator().manual_seed(3)
    common = torch.randint(0, VOCABULARY, (LENGTH - 20,), generator=random).tolist()
    tails = torch.randint(0, VOCABULARY, (6, 20), generator=random).tolist()
    return [tuple(common[: LENGTH - 20 - 40 * row] + tail) for row, tail in enumerate(tails)]


@torch.inference_mode()
def full_pass(model: Decoder, ids: tuple[int, ...]) -> torch.Tensor:
    line = torch.tensor(ids, device=model.device)
    places = torch.arange(len(ids), device=model.device)
    return model.logits(model(line, places, WholeSequence())).log_softmax(-1)


def serve(model: Decoder, jobs: list, **options) -> list:
    return answers(Engine(model, lambda ids: "".join(chr(32 + id) for id in ids), **options), jobs)


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-3), (torch.bfloat16, 0.15)])
def test_the_engine_scores_as_a_full_pass_on_the_processor_does(decoder, dtype, close):
    there = copy.deepcopy(decoder).to("cuda", dtype).eval().requires_grad_(False)
    asked = sequences()
    results = serve(there, [ScoreJob(ids=ids, start=len(ids) - 20) for ids in asked])
    for ids, result in zip(asked, results, strict=True):
        expected = full_pass(decoder, ids)[len(ids) - 21 : -1]
        targets = torch.tensor(ids[-20:])
        torch.testing.assert_close(
            torch.tensor(result.log_likelihoods), expected.gather(1, targets[:, None])[:, 0], atol=close, rtol=0
        )


def test_the_engine_says_what_a_full_pass_of_each_token_says(decoder):
    there = copy.deepcopy(decoder).to("cuda").eval().requires_grad_(False)
    asked = sequences()[:3]
    results = serve(there, [GenerateJob(ids=ids, max_tokens=12) for ids in asked])
    for ids, result in zip(asked, results, strict=True):
        said, grown = result[0].ids, list(ids)
        for id in said:
            scores = full_pass(there, tuple(grown))[-1]
            # Two tokens may be as good as equal: rounding may choose either.
            assert scores[id] >= scores.max() - 1e-3
            grown.append(id)
        assert len(said) == 12


def exact_jobs() -> list:
    asked = sequences()
    drawn = Sampling(temperature=0.9, top_p=0.9, seed=4)
    return [
        *(ScoreJob(ids=ids, start=len(ids) - 20) for ids in asked),
        *(GenerateJob(ids=ids, max_tokens=8, log_probabilities=3) for ids in asked[:2]),
        GenerateJob(ids=asked[2], max_tokens=8, sampling=drawn, n=3),
    ]


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-3), (torch.bfloat16, 0.15)])
def test_in_exact_bits_do_not_depend_on_what_is_computed_beside(decoder, dtype, close):
    pytest.importorskip("triton")
    there = copy.deepcopy(decoder).to("cuda", dtype).eval().requires_grad_(False)
    there.pack(exact=True)
    alone = [serve(there, [job], numerics="exact")[0] for job in exact_jobs()]
    assert serve(there, exact_jobs(), numerics="exact") == alone
    assert serve(there, exact_jobs()[::-1], numerics="exact", batch_tokens=100)[::-1] == alone
    for ids, result in zip(sequences(), alone, strict=False):
        expected = full_pass(decoder, ids)[len(ids) - 21 : -1].gather(1, torch.tensor(ids[-20:])[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(result.log_likelihoods), expected, atol=close, rtol=0)


def batch(device: str) -> Batch:
    random = torch.Generator().manual_seed(7)
    ids = torch.randint(0, VOCABULARY, (8, 129), generator=random)
    weights = (torch.rand(8, 128, generator=random) > 0.2).float()
    documents = (torch.arange(128)[None] >= torch.randint(20, 100, (8, 1), generator=random)).int()
    return Batch(ids[:, :-1], ids[:, 1:], weights, torch.arange(128), documents, None).to(torch.device(device))


def losses(decoder: Decoder, device: str, steps: int = 10, **options) -> list[float]:
    model = TrainingModel(copy.deepcopy(decoder).to(device), **options)
    rules = [OptimizerRule(kind="matrix", name="muon", rate=0.01), OptimizerRule(rate=3e-3)]
    optimizers = make_optimizers(model.decoder.named_parameters(), rules)
    found = []
    for _ in range(steps):
        found.append(backward(model, [batch("cpu")], Processes(), torch.device(device), 1.0).loss)
        update(model, optimizers)
    return found


def test_a_training_has_the_losses_that_it_has_on_the_processor(decoder):
    expected = losses(decoder, "cpu")
    assert expected[-1] < expected[0] - 0.3
    # Muon makes matrices orthogonal in bf16, which rounds on each device in its own way.
    assert losses(decoder, "cuda") == pytest.approx(expected, abs=0.03)
    assert losses(decoder, "cuda")[0] == pytest.approx(expected[0], abs=1e-4)
    assert losses(decoder, "cuda", dtype=torch.bfloat16) == pytest.approx(expected, abs=0.08)
    assert losses(decoder, "cuda", recompute=True) == pytest.approx(losses(decoder, "cuda"), abs=1e-3)


def test_a_deterministic_training_has_the_same_bits_again(decoder):
    torch.use_deterministic_algorithms(True)
    try:
        for dtype in (torch.float32, torch.bfloat16):
            assert losses(decoder, "cuda", dtype=dtype) == losses(decoder, "cuda", dtype=dtype)
    finally:
        torch.use_deterministic_algorithms(False)
