"""Models of every combination of parts: they learn, and the engine says of them what a whole pass says."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from stack.architectures.combinations import AXES, config_of, cover

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.initial import initialize
from evalharness.stack.config import ModelConfig
from evalharness.stack.engine.engine import Engine
from evalharness.stack.engine.requests import GenerateJob, ScoreJob, answers
from evalharness.stack.layers.attention import WholeSequence
from evalharness.stack.training.attention import BatchAttention

PAIRS = cover(
    {axis: list(names) for axis, names in AXES.items()}
    | {"feed_forward": ["gelu_tanh", "relu", "geglu", "swiglu"]}
    | {"positions": ["none", "sinusoidal", "learned", "partial", "xpos", "alibi", "yarn"]}
)
"""Every two choices meet in one of these; the rest of the feed-forward layers and scalings is in `THREES`."""
THREES = cover({axis: list(names) for axis, names in AXES.items()}, 3)
STEPS = 20


def trained(config: ModelConfig, *, autocast: bool = False) -> tuple[Decoder, list[float]]:
    """A model that has seen one batch so many times, and its losses."""
    model = Decoder(config)
    initialize(model, seed=5, deviation=0.1)
    random = torch.Generator().manual_seed(7)
    ids_BT = torch.randint(0, config.vocab_size, (4, 25), generator=random)
    inputs_BT, targets_BT = ids_BT[:, :-1], ids_BT[:, 1:]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.95))
    losses = []
    for _ in range(STEPS):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            hidden_BTW = model(inputs_BT, torch.arange(24), BatchAttention())
            logits_BTV = model.head(model.norm(hidden_BTW)).float()
        loss = torch.nn.functional.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model.eval().requires_grad_(False), losses


def jobs(vocab_size: int) -> list[ScoreJob | GenerateJob]:
    """Prompts that share 270 tokens, as more than a tile and more than 256, and some that share less."""
    random = torch.Generator().manual_seed(3)
    shared = torch.randint(0, vocab_size, (270,), generator=random).tolist()
    asked: list[ScoreJob | GenerateJob] = [
        ScoreJob(ids=(*shared, 1, 2, 3), start=200),
        ScoreJob(ids=(*shared, 1, 5, 9, 9, 4), start=268),
        ScoreJob(ids=(*shared[:100], *range(30)), start=1),
    ]
    prompts = (shared[:30], [*shared, 1, 2], [*shared, 8, 8, 1], [6])
    return asked + [GenerateJob(ids=tuple(prompt), max_tokens=8) for prompt in prompts]


def serve(model: Decoder, asked: list[ScoreJob | GenerateJob], numerics: str) -> list:
    """What an engine answers, with the weights laid out as the product does it."""
    model = deepcopy(model)
    model.pack()
    return answers(Engine(model, str, numerics=numerics, batch_tokens=90, check=True), asked)


@torch.inference_mode()
def errors(model: Decoder, numerics: str, reference: Decoder) -> torch.Tensor:
    """How far the engine's log-likelihoods are from those of whole passes of `reference`, and by how much what it draws
    is less likely there than the likeliest token."""
    found = []
    asked = jobs(model.config.vocab_size)
    for job, told in zip(asked, serve(model, asked, numerics), strict=True):
        drawn = () if isinstance(job, ScoreJob) else told[0].ids
        start = job.start if isinstance(job, ScoreJob) else len(job.ids)
        ids = torch.tensor([*job.ids, *drawn])
        expected_TV = whole_pass(reference, ids[:-1])[start - 1 :]
        own_T = expected_TV.gather(1, ids[start:, None])[:, 0]
        if isinstance(job, ScoreJob):
            found.append((torch.tensor(told.log_likelihoods) - own_T).abs())
        else:
            assert len(drawn) == 8
            found.append(expected_TV.amax(-1) - own_T)
    return torch.cat(found)


def whole_pass(model: Decoder, ids_T: torch.Tensor) -> torch.Tensor:
    return model.logits(model(ids_T, torch.arange(len(ids_T)), WholeSequence())).log_softmax(-1)


def check(chosen: dict[str, str], kinds: tuple[str, ...]) -> None:
    model, losses = trained(config_of(chosen))
    assert torch.tensor(losses).isfinite().all()
    assert losses[-1] < 0.7 * losses[0], losses
    for numerics in kinds:
        assert errors(model, numerics, model).max() <= 1e-4


def name_of(chosen: dict[str, str]) -> str:
    return " ".join(chosen.values())


@pytest.mark.parametrize("chosen", PAIRS, ids=name_of)
def test_a_model_of_every_pair_of_parts_learns_and_runs_in_the_engine(chosen):
    check(chosen, ("exact" if PAIRS.index(chosen) % 2 else "fast",))


@pytest.mark.long
@pytest.mark.parametrize("chosen", THREES, ids=name_of)
def test_a_model_of_every_three_parts_learns_and_runs_in_the_engine(chosen):
    check(chosen, ("fast", "exact"))


BY_POSITIONS = [
    next(chosen for chosen in PAIRS if (chosen["positions"], chosen["experts"]) == (name, "dense"))
    for name in ("sinusoidal", "learned", "partial", "xpos", "alibi")
]
"""Without experts: whose choice jumps, so that rounding tells little."""


WITH_EXPERTS = next(chosen for chosen in PAIRS if chosen["experts"] == "experts")


@pytest.mark.parametrize("chosen", [*BY_POSITIONS, WITH_EXPERTS], ids=name_of)
def test_exact_bits_do_not_depend_on_what_is_computed_beside(chosen):
    model, _ = trained(config_of(chosen))
    asked = jobs(model.config.vocab_size)
    alone = [serve(model, [job], "exact")[0] for job in jobs(model.config.vocab_size)]
    assert serve(model, asked, "exact") == alone


@pytest.mark.parametrize("numerics", ["fast", "exact"])
@pytest.mark.parametrize("chosen", BY_POSITIONS, ids=name_of)
def test_the_engine_is_as_close_in_bf16_as_a_whole_pass_is(chosen, numerics):
    model = trained(config_of(chosen))[0].to(torch.bfloat16)
    reference = deepcopy(model).float()
    ids = torch.tensor(jobs(64)[0].ids)
    with torch.inference_mode():
        usual = (whole_pass(model, ids) - whole_pass(reference, ids)).abs()
        found = errors(model, numerics, reference)
    assert found.mean() <= 2 * usual.mean()
    assert found.max() <= 2 * usual.max()


@pytest.mark.parametrize("chosen", BY_POSITIONS, ids=name_of)
def test_bf16_autocast_trains_as_fp32_does(chosen):
    """Weights and stream in fp32, products in bf16: what positions add must not change the type that attention gets."""
    _, losses = trained(config_of(chosen))
    half, rounded = trained(config_of(chosen), autocast=True)
    assert {parameter.dtype for parameter in half.parameters()} == {torch.float32}
    assert rounded[0] == pytest.approx(losses[0], rel=0.01)
    assert rounded[-1] == pytest.approx(losses[-1], rel=0.1)


@pytest.mark.parametrize("numerics", ["fast", "exact"])
def test_learned_positions_are_used_to_the_last_one(numerics):
    model, _ = trained(config_of({"positions": "learned"}, max_length=130))
    ids = torch.randint(0, 64, (131,), generator=torch.Generator().manual_seed(4)).tolist()
    score = ScoreJob(ids=tuple(ids), start=1)  # the last token is never fed
    # A text that repeats itself is guessed ahead of.
    text = GenerateJob(ids=(7, 8) * 60, max_tokens=100)
    scores, (drawn,) = serve(model, [score, text], numerics)
    assert (len(drawn.ids), drawn.finish_reason) == (10, "length")
    with torch.inference_mode():
        expected = whole_pass(model, torch.tensor(ids[:-1])).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    torch.testing.assert_close(torch.tensor(scores.log_likelihoods), expected, atol=1e-4, rtol=0)
