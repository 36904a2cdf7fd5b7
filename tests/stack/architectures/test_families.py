"""Every family against transformers: tiny random models, in both directions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from stack.architectures.family_cases import CASES, VOCABULARY, attention_of, made
from torch import Tensor, nn

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.families.known import FAMILIES, config_from_hub, hub_config
from evalharness.stack.checkpoints.load import load_model
from evalharness.stack.checkpoints.save import save_model
from evalharness.stack.engine.engine import Engine
from evalharness.stack.engine.requests import GenerateJob, ScoreJob, answers
from evalharness.stack.layers.attention import WholeSequence

LINES = [
    torch.randint(2, VOCABULARY, (length,), generator=torch.Generator().manual_seed(length)) for length in (70, 41, 9)
]


@pytest.fixture(params=CASES, scope="module")
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    """A folder, and transformers' model in it."""
    theirs = made(request.param)
    folder = tmp_path_factory.mktemp("family")
    theirs.save_pretrained(folder)
    return folder, theirs


def logits(model: Decoder, ids_T: Tensor) -> Tensor:
    return model.logits(model(ids_T, torch.arange(len(ids_T)), WholeSequence()))


def padded(lines: list[Tensor]) -> dict[str, Tensor]:
    """The lines as one batch that is padded on the left."""
    longest = max(map(len, lines))
    room = [longest - len(line) for line in lines]
    return {
        "input_ids": torch.stack([nn.functional.pad(line, (left, 0)) for line, left in zip(lines, room, strict=True)]),
        "attention_mask": (torch.arange(longest) >= torch.tensor(room)[:, None]).long(),
    }


def their_logits(model: nn.Module, lines: list[Tensor]) -> list[Tensor]:
    batch = padded(lines)
    if not isinstance(model, transformers.BloomForCausalLM):  # it counts positions by itself, as OPT does
        batch["position_ids"] = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    if isinstance(model, transformers.OPTForCausalLM):
        del batch["position_ids"]
    return [found[-len(line) :] for found, line in zip(model(**batch).logits, lines, strict=True)]


@torch.inference_mode()
def test_logits_are_those_of_transformers(saved: tuple[Path, nn.Module]) -> None:
    folder, theirs = saved
    model, _ = load_model(folder)
    for line, expected in zip(LINES, their_logits(theirs, LINES), strict=True):
        torch.testing.assert_close(logits(model, line), expected, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_a_saved_folder_is_read_by_transformers(saved: tuple[Path, nn.Module], tmp_path: Path) -> None:
    folder, theirs = saved
    model, config = load_model(folder)
    assert config_from_hub(hub_config(config, "float32"), "config.json") == config
    save_model(tmp_path, config, model.state_dict(), None)
    kind = attention_of(theirs.config)
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation=kind).eval()
    assert type(again) is type(theirs)
    for line, expected in zip(LINES, their_logits(theirs, LINES), strict=True):
        torch.testing.assert_close(again(line[None]).logits[0], expected, atol=1e-4, rtol=0)
    ours, read = load_model(tmp_path)
    assert read == config
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in ours.state_dict().items())


def serve(model: Decoder, numerics: str, *, texts: int) -> list[Any]:
    """What an engine draws behind the lines, `texts` of them at once."""
    jobs = [GenerateJob(ids=tuple(line.tolist()), max_tokens=20) for line in LINES]
    scores = [ScoreJob(ids=tuple(line.tolist()), start=1) for line in LINES]
    drawn, scored = [], []
    for at in (slice(begin, begin + texts) for begin in range(0, len(LINES), texts)):
        engine = Engine(model, str, numerics=numerics, batch_tokens=50, check=True)
        found = answers(engine, [*jobs[at], *scores[at]])
        drawn += found[: len(jobs[at])]
        scored += found[len(jobs[at]) :]
    return drawn + scored


@torch.inference_mode()
def test_the_engine_draws_what_transformers_draws(saved: tuple[Path, nn.Module]) -> None:
    folder, theirs = saved
    model, _ = load_model(folder)
    plain = [logits(model, line).log_softmax(-1)[:-1].gather(1, line[1:, None])[:, 0] for line in LINES]
    model.pack()
    drawn = theirs.generate(
        **padded(LINES), max_new_tokens=20, do_sample=False, eos_token_id=None, pad_token_id=0, use_cache=True
    )[:, -20:]
    for numerics in ("fast", "exact"):
        told = serve(model, numerics, texts=3)
        assert [list(text[0].ids) for text in told[:3]] == drawn.tolist(), numerics
        for found, expected in zip(told[3:], plain, strict=True):
            torch.testing.assert_close(torch.tensor(found.log_likelihoods), expected, atol=1e-4, rtol=0)
    assert serve(model, "exact", texts=1) == told


def test_every_family_of_the_engine_has_three_models() -> None:
    counts = Counter(config.model_type for config in CASES.values())
    assert counts.keys() == {name for name, family in FAMILIES.items() if family.runs == "engine"}
    assert min(counts.values()) >= 3
