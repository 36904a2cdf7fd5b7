"""What a training is put together from, and what its folder says of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from stack.training.tiny_pretraining import options

from evalharness.stack.corpus.mixtures import Cursor
from evalharness.stack.training.estimates import operations
from evalharness.stack.training.processes import Processes
from evalharness.stack.training.setup import Training

pytestmark = pytest.mark.usefixtures("_training")


def test_the_folder_says_what_is_trained_on_what(base: Path) -> None:
    given = options(compute={"threads": 2}, seed=4)
    training = Training(given, base, Processes())
    told = json.loads((base / "run" / "run.json").read_text())
    assert told["options"]["optimizer"][0]["rate"] == 0.01
    assert told["options"]["seed"] == 4
    assert not {"folder", "checkpoints", "log_every"} & told["options"].keys()
    assert told["model"] == json.loads(json.dumps(training.config_json))
    assert told["tokenizer"] == training.tokenizer.fingerprint
    assert told["corpus"] == training.source.corpus.fingerprint
    assert len(told["corpus"]) == 64
    assert told["machine"]["threads"] == torch.get_num_threads() == 2


def test_the_vocabulary_is_the_tokenizers(base: Path) -> None:
    training = Training(options(), base, Processes())
    assert training.config.vocab_size == 320
    assert training.config.eos_ids == (256,)
    assert training.config.max_length == 16
    larger = Training(options("larger", model={"vocab_size": 300}), base, Processes())
    assert larger.inner.decoder.embedding.weight.shape == (300, 16)


def test_a_share_of_the_peak_is_of_all_processes(base: Path) -> None:
    training = Training(options(), base, Processes())
    needed = operations(training.inner.decoder, 16).needed
    assert training.peak_share(1000) == pytest.approx(1000 * needed / 1e10)
    training.processes = Processes(count=4)
    assert training.peak_share(1000) == pytest.approx(250 * needed / 1e10)


def test_a_micro_batch_is_a_share_of_the_batch_unless_given(base: Path) -> None:
    training = Training(options(batch={"micro": None}), base, Processes())
    training.processes = Processes(count=2)
    assert training.micro(8) == 4
    assert Training(options("other"), base, Processes()).micro(8) == 2


@pytest.mark.parametrize("deterministic", [True, False])
def test_it_is_deterministic_where_that_is_asked(base: Path, deterministic: bool) -> None:
    Training(options(compute={"deterministic": deterministic}), base, Processes())
    assert torch.are_deterministic_algorithms_enabled() == deterministic


def test_the_seed_decides_the_weights(base: Path) -> None:
    one, same, other = (
        dict(Training(options(f"{number}", seed=seed), base, Processes()).named_parameters())
        for number, seed in enumerate((1, 1, 2))
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["embedding.weight"], other["embedding.weight"])


def test_reset_is_as_before_the_first_step(base: Path) -> None:
    training = Training(options(), base, Processes())
    before = {name: parameter.clone() for name, parameter in training.named_parameters()}
    batches, _ = training.source.take(training.source.skip(Cursor(), 4), 4, 4)
    training.model(batches[0])[0].backward()
    training.optimizers[0].step()
    training.reset()
    assert not training.optimizers[0].state
    assert all(torch.equal(parameter, before[name]) for name, parameter in training.named_parameters())
