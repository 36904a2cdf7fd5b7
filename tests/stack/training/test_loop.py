"""The order of events of a training: what it logs, saves, evaluates, and how it ends and goes on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from stack.training.tiny_pretraining import (
    FakeEvaluator,
    corpus,
    garbage,
    lines,
    log_of,
    losses,
    options,
    texts,
    weights,
)

from evalharness.stack.checkpoints.load import open_checkpoint
from evalharness.stack.corpus.mixtures import Cursor
from evalharness.stack.durable import LOCK, locked
from evalharness.stack.errors import CheckpointError, CorpusError, TrainingError
from evalharness.stack.training import loop
from evalharness.stack.training.checkpoints import CheckpointStore
from evalharness.stack.training.loop import Event, Outcome
from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.pretrain import pretrain
from evalharness.stack.training.schedules import rate_factor

pytestmark = pytest.mark.usefixtures("_training")


def train(base: Path, folder: str = "run", **changes: Any) -> Outcome:
    return pretrain(options(folder, **changes), base)


def events(folder: Path) -> list[Event]:
    return [line for line in log_of(folder) if "event" in line]


def stopped_at(step: int, number: signal.Signals = signal.SIGINT) -> Callable[[Event], None]:
    """Sends this process a signal once a step is logged."""

    def tell(event: Event) -> None:
        if event["step"] == step and "loss" in event:
            os.kill(os.getpid(), number)

    return tell


# --------------------------------------------------------------------------- what is written


def test_a_training_learns_and_says_how(base: Path) -> None:
    told: list[Event] = []
    given = options(log_every=4, steps=30, batch={"ramp": [{"from_step": 10, "sequences": 8}]})
    outcome = pretrain(given, base, tell=told.append)
    log = lines(base / "run" / "log.jsonl")
    assert told == log
    trained = [line for line in log if "loss" in line]
    assert [line["step"] for line in trained] == [4, 8, 12, 16, 20, 24, 28, 30]
    assert [line["sequences"] for line in trained[:4]] == [16, 32, 40 + 16, 40 + 48]
    assert [line["tokens"] for line in trained] == [16 * line["sequences"] for line in trained]
    assert [line["rate_factor"] for line in trained] == [
        rate_factor(given.schedule, line["step"] - 1, 30) for line in trained
    ]
    assert all(line["tokens_per_second"] > 0 and line["peak_share"] > 0 for line in trained)
    assert trained[0]["loss"] > 5.2
    assert trained[-1]["loss"] < 4
    validated = {line["step"]: line["validation_loss"] for line in log if "validation_loss" in line}
    assert list(validated) == [5, 10, 15, 20, 25, 30]
    assert validated[30] < 4 < validated[5]
    # A line is the mean of the steps since the one before.
    assert outcome == Outcome(30, outcome.loss)
    train(base, "each", steps=30, batch={"ramp": [{"from_step": 10, "sequences": 8}]})
    each = losses(base / "each")
    assert trained[1]["loss"] == pytest.approx(sum(each[4:8]) / 4, rel=1e-12)
    assert each[-1] == outcome.loss


def test_a_checkpoint_is_a_model_that_the_engine_loads(base: Path) -> None:
    train(base, steps=5)
    checkpoint = open_checkpoint(base / "run" / "checkpoints" / "step-00000005")
    assert checkpoint.tokenizer().encode("Ada") == [65, 100, 97]
    assert checkpoint.tokenizer().eos_id == 256
    assert checkpoint.config.max_length == 16


def test_validation_at_steps_of_its_own(base: Path) -> None:
    train(base, steps=7, validate_every=3, validate_sequences=2)
    assert [line["step"] for line in log_of(base / "run") if "validation_loss" in line] == [3, 6, 7]


def test_tensorboard_shows_the_log_also_after_a_stop(base: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    given = options(steps=12, tensorboard=True, checkpoints={"every": 4})
    whole = options("whole", steps=12)
    pretrain(whole, base)
    # Killed at step 7, that is: cut back to step 4.
    assert pretrain(given, base, tell=stopped_at(6)).ending == "asked"
    shutil.rmtree(base / "run" / "checkpoints" / "step-00000006")
    pretrain(given, base)
    board = EventAccumulator(str(base / "run" / "tensorboard"))
    board.Reload()
    assert {"loss", "validation_loss", "gradient_norm", "tokens_per_second"} <= set(board.Tags()["scalars"])
    shown = {scalar.step: scalar.value for scalar in board.Scalars("loss")}
    assert len(board.Scalars("loss")) == 12
    assert list(shown.values()) == pytest.approx(losses(base / "whole"), rel=1e-6)


def test_without_tensorboard_no_step_is_taken(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if "tensorboard" in name.split(".")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ModuleNotFoundError, match="tensorboard"):
        train(base, tensorboard=True)
    assert not (base / "run" / "checkpoints").exists()


# --------------------------------------------------------------------------- stopped, and gone on with


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_saves_and_goes_on_to_the_same_bits(base: Path, number: signal.Signals) -> None:
    given = options(log_every=3, batch={"ramp": [{"from_step": 8, "sequences": 8}]})
    before = signal.getsignal(number)
    outcome = pretrain(given, base, tell=stopped_at(6, number))
    assert (outcome.step, outcome.ending) == (6, "asked")
    assert outcome.reason == "It was asked to stop; start the same command again, and it goes on."
    assert signal.getsignal(number) is before
    assert pretrain(given, base).ending == "done"
    whole = options("whole", log_every=3, batch={"ramp": [{"from_step": 8, "sequences": 8}]})
    pretrain(whole, base)
    assert log_of(base / "run") == log_of(base / "whole")
    assert weights(base / "run") == weights(base / "whole")


def test_between_two_lines_of_the_log_nothing_is_forgotten(base: Path) -> None:
    given = {"log_every": 7, "checkpoints": {"every": 5}, "steps": 14}
    pretrain(options("killed", **given), base, tell=stopped_at(7))
    shutil.rmtree(base / "killed" / "checkpoints" / "step-00000007")
    train(base, "killed", **given)
    train(base, "whole", **given)
    assert log_of(base / "killed") == log_of(base / "whole")


def test_a_signal_in_the_last_step_is_no_stop(base: Path) -> None:
    assert pretrain(options(steps=3), base, tell=stopped_at(3)).ending == "done"


def test_a_second_signal_stops_at_once_and_leaves_no_writing_behind(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = CheckpointStore._finish

    def slow(*given: Any) -> None:
        time.sleep(0.3)
        write(*given)

    monkeypatch.setattr(CheckpointStore, "_finish", slow)

    def tell(event: Event) -> None:
        if event["step"] == 7:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        pretrain(options(), base, tell=tell)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("checkpoint")]
    monkeypatch.undo()
    train(base)
    train(base, "whole")
    assert log_of(base / "run") == log_of(base / "whole")


def test_two_trainings_in_one_folder_are_refused(base: Path) -> None:
    (base / "run").mkdir()
    with locked(base / "run" / LOCK), pytest.raises(TrainingError, match=r"/run: another process is training here; "):
        train(base)
    assert not (base / "run" / "log.jsonl").exists()
    train(base)


def test_a_finished_training_does_nothing(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pretrain(options(), base, evaluator=FakeEvaluator())
    before = {path: path.read_bytes() for path in (base / "run").rglob("*") if path.is_file()}
    monkeypatch.setattr(TrainingModel, "forward", None)
    again = FakeEvaluator()
    assert pretrain(options(), base, evaluator=again) == first
    assert not again.asked
    assert {path: path.read_bytes() for path in (base / "run").rglob("*") if path.is_file()} == before


def test_from_an_earlier_checkpoint(base: Path) -> None:
    evaluator = FakeEvaluator()
    pretrain(options(), base, evaluator=evaluator)
    before, evaluations = log_of(base / "run"), lines(base / "run" / "evaluations.jsonl")
    pretrain(options(), base, evaluator=evaluator, start=10)
    assert evaluator.asked == [5, 10, 15, 20, 15, 20]
    assert log_of(base / "run") == before
    assert lines(base / "run" / "evaluations.jsonl") == evaluations
    with pytest.raises(CheckpointError, match=r"no whole checkpoint of step 7; there are 10, 15, 20\.$"):
        pretrain(options(), base, start=7)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"optimizer": [{"rate": 0.02}]}, "optimizer"),
        ({"seed": 1, "steps": 25}, "seed, steps"),
        ({"model": {"layers": 1}}, "model"),
    ],
)
def test_other_options_do_not_go_on(base: Path, changes: dict[str, Any], named: str) -> None:
    train(base, steps=5) if "steps" not in changes else train(base)
    before = log_of(base / "run")
    changes = {"steps": 5, **changes}
    with pytest.raises(TrainingError, match=rf"run: holds a training with other options \({named}\); give another"):
        train(base, **changes)
    assert log_of(base / "run") == before


def test_a_training_of_an_older_version_goes_on(base: Path) -> None:
    """What it did not know of is as it is by itself."""
    pretrain(options(), base, tell=stopped_at(6))
    run = base / "run" / "run.json"
    told = json.loads(run.read_text())
    del told["options"]["balance_loss"], told["options"]["model"]["embedding_norm"]
    run.write_text(json.dumps(told))
    newest = max((base / "run" / "checkpoints").iterdir())
    facts = json.loads((newest / "training" / "state.json").read_text())
    del facts["model"]["embedding_norm"]
    (newest / "training" / "state.json").write_text(json.dumps(facts))
    files = newest / "training" / "files.json"
    manifest = json.loads(files.read_text())
    state = newest / "training" / "state.json"
    digest = hashlib.sha256(state.read_bytes()).hexdigest()
    manifest["files"]["training/state.json"] = {"size": state.stat().st_size, "sha256": digest}
    files.write_text(json.dumps(manifest))
    train(base)
    train(base, "whole")
    assert weights(base / "run") == weights(base / "whole")


def test_what_computes_nothing_may_change(base: Path) -> None:
    pretrain(options(), base, tell=stopped_at(6))
    train(base, log_every=5, checkpoints={"every": 4, "beside": False}, validate_every=9)
    train(base, "whole")
    assert weights(base / "run") == weights(base / "whole")


def test_another_corpus_by_the_same_name_does_not_go_on(base: Path, tmp_path: Path) -> None:
    train(base, steps=5)
    (base / "corpus").unlink()
    corpus(base, texts=texts(120, seed=8))
    with pytest.raises(TrainingError, match=r"run: holds a training with another corpus, though by the same name"):
        train(base, steps=5)


def test_a_damaged_checkpoint_is_told_with_the_one_before(base: Path) -> None:
    train(base, steps=15)
    path = base / "run" / "checkpoints" / "step-00000015" / "model.safetensors"
    os.truncate(path, 1000)
    with pytest.raises(CheckpointError, match=r"model\.safetensors has 1,000 bytes .* --from 10"):
        train(base, steps=15)
    before = losses(base / "run")
    pretrain(options(steps=15), base, start=10)
    assert losses(base / "run") == before


def test_a_checkpoint_of_another_architecture(base: Path) -> None:
    train(base, steps=5)
    train(base, "other", steps=5, model={"positions": "learned"})
    shutil.rmtree(base / "run" / "checkpoints")
    shutil.copytree(base / "other" / "checkpoints", base / "run" / "checkpoints")
    with pytest.raises(CheckpointError, match=r"is of another model: positions is \"learned\" there and \"rope\" here"):
        train(base, steps=5)


def test_a_truncated_shard_is_told(texts_corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(texts_corpus / "corpus", tmp_path / "corpus")
    shard = tmp_path / "corpus" / "texts" / "00001.tokens"
    os.truncate(shard, shard.stat().st_size - 10)
    with pytest.raises(CorpusError, match=r"00001\.tokens: has .* bytes and should have"):
        train(tmp_path)
    assert not (tmp_path / "run").exists()


# --------------------------------------------------------------------------- evaluation


def test_an_evaluation_stops_the_training(base: Path) -> None:
    evaluator = FakeEvaluator(sentences={10: "coin_flip fell."})
    outcome = pretrain(options(), base, evaluator=evaluator)
    assert (outcome.step, outcome.ending, outcome.reason) == (10, "evaluation", "coin_flip fell.")
    rows = lines(base / "run" / "evaluations.jsonl")
    assert [(row["step"], row["stop"]) for row in rows] == [(5, None), (10, "coin_flip fell.")]
    # It stops there again, and is not asked again.
    assert pretrain(options(), base, evaluator=evaluator) == outcome
    assert evaluator.asked == [5, 10]
    # Unless it may no longer stop.
    assert pretrain(options(), base, evaluator=FakeEvaluator(stops=False)).ending == "done"


def test_a_checkpoint_is_written_where_it_is_evaluated(base: Path) -> None:
    pretrain(options(steps=12), base, evaluator=FakeEvaluator(every=4))
    assert [row["step"] for row in lines(base / "run" / "evaluations.jsonl")] == [4, 8, 12]


# --------------------------------------------------------------------------- spikes


def poisoned(base: Path, at: float = 0.5, until: float = 0.6) -> dict[str, Any]:
    """A corpus whose schedule has a stretch of garbage in it, told of as options of the data."""
    corpus(base, texts=texts(120), poisoned=garbage(40))
    schedule = [
        {"at": 0, "weights": {"texts": 1}},
        {"at": at, "weights": {"poisoned": 1}},
        {"at": until, "weights": {"texts": 1}},
    ]
    return {"mixture": {"schedule": schedule}, "validation": None}


SPIKES = {"window": 8, "warmup": 8, "patience": 2, "skip": 4}


def test_a_poisoned_stretch_is_found_gone_back_from_and_left_out(tmp_path: Path) -> None:
    data = poisoned(tmp_path)
    outcome = train(tmp_path, steps=60, data=data, spikes=SPIKES)
    train(tmp_path, "harmed", steps=60, data=data)
    clean = {"schedule": [{"at": 0, "weights": {"texts": 1}}]}
    train(tmp_path, "clean", steps=60, data={**data, "mixture": clean})
    spike, rewind = events(tmp_path / "run")
    # 60 steps, of which 31 to 36 are poisoned; found at the second of them.
    assert {key: spike[key] for key in ("step", "event", "since")} == {"step": 32, "event": "spike", "since": 31}
    assert "is far above" in spike["reason"]
    # Left out: what was met since the checkpoint of step 30, and as many batches more as `skip` says.
    assert rewind == {"step": 30, "event": "rewind", "from": 32, "left_out_sequences": (2 + SPIKES["skip"]) * 4}
    trained = [line for line in log_of(tmp_path / "run") if "loss" in line]
    assert [line["step"] for line in trained] == [*range(1, 32), *range(31, 61)]
    assert [line["sequences"] for line in trained[-30:]] == [(step + 6) * 4 for step in range(31, 61)]
    end = {name: sum(losses(tmp_path / name)[-10:]) / 10 for name in ("run", "harmed", "clean")}
    assert abs(end["run"] - end["clean"]) < 0.1
    assert end["harmed"] > end["run"]
    assert max(line["loss"] for line in trained[31:]) < trained[31 - 1]["loss"]
    assert outcome.ending == "done"


def test_a_training_goes_back_only_so_often(tmp_path: Path) -> None:
    data = poisoned(tmp_path, 0.5, 1)
    with pytest.raises(TrainingError, match=r"^step 32: the loss .* has gone back 2 times already \(spikes\.most\)\. "
                                            r"The newest checkpoint is .*step-00000030\. Lower the rate"):  # fmt: skip
        train(tmp_path, steps=60, data=data, spikes={**SPIKES, "skip": 0, "most": 2})
    assert [line["event"] for line in events(tmp_path / "run")] == [*["spike", "rewind"] * 2, "spike"]


def nan_at(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """The loss of the so-many-th step is no number."""
    calls, original = 0, loop.backward

    def backward(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        gradients = original(*arguments)
        return loop.Gradients(float("nan"), gradients.norm) if calls == call else gradients

    monkeypatch.setattr(loop, "backward", backward)


def test_a_loss_that_is_no_number_ends_the_training(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nan_at(monkeypatch, 8)
    newest = r"The newest checkpoint is .*step-00000005\. Lower the rate, or .* \(spikes\)\.$"
    with pytest.raises(TrainingError, match=r"^step 8: the loss is nan and the gradient's norm .*\. " + newest):
        train(base)
    monkeypatch.undo()


def test_or_is_gone_back_from(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nan_at(monkeypatch, 8)
    train(base, spikes={})
    spike, rewind = events(base / "run")
    assert spike == {"step": 8, "event": "spike", "since": 8, "reason": "the loss is nan"}
    assert rewind == {"step": 5, "event": "rewind", "from": 8, "left_out_sequences": 12}
    assert len(losses(base / "run")) == 7 + 15


def test_before_the_first_checkpoint_it_begins_again(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nan_at(monkeypatch, 4)
    train(base, spikes={})
    assert [event["step"] for event in events(base / "run")] == [4, 0]
    again = losses(base / "run")[3:]
    monkeypatch.undo()
    # As a training that begins behind those four batches.
    monkeypatch.setattr(loop.Progress, "at_start", lambda spikes: loop.Progress(cursor=skipped(base, 16)))
    train(base, "behind")
    assert losses(base / "behind") == again


def skipped(base: Path, sequences: int) -> Cursor:
    from evalharness.stack.training.data import BatchSource
    from evalharness.stack.training.objectives import Objective

    given = options()
    return BatchSource(given.data, base, Objective(given.objective), total=80).skip(Cursor(), sequences)


def test_a_rate_that_is_far_too_high(base: Path) -> None:
    """Nothing that is no number is ever learned from: what the checkpoints hold is finite."""
    with pytest.raises(TrainingError, match=r"has gone back 1 times already|the loss is"):
        train(base, optimizer=[{"rate": 1e20}], schedule={"warmup": 0}, clip=None, spikes={"most": 1})
    for path in (base / "run").glob("checkpoints/*/model.safetensors"):
        from safetensors.torch import load_file

        assert all(torch.isfinite(tensor).all() for tensor in load_file(path).values())


def test_data_that_ends(base: Path) -> None:
    """The mixture's schedule may end the data in a way that cannot be told before."""
    mixture = {"schedule": [{"at": 0, "weights": {"texts": 1}}], "epochs": {"texts": 1}}
    with pytest.raises(TrainingError, match=r"the training takes 800 sequences, but the mixture's epochs let"):
        train(base, steps=200, data={"mixture": mixture})


def test_going_back_behind_the_end_of_the_data_ends_it(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nan_at(monkeypatch, 18)
    mixture = {"schedule": [{"at": 0, "weights": {"texts": 1}}], "epochs": {"texts": 1}}
    size = len_of(base)
    steps = size // 4
    outcome = train(base, steps=steps, data={"mixture": mixture}, spikes={"skip": 10_000})
    assert outcome.ending == "data"
    assert outcome.step == 17
    assert "drawn through" in str(outcome.reason)
    assert "raise them" in str(outcome.reason)


def len_of(base: Path) -> int:
    from evalharness.stack.training.data import BatchSource
    from evalharness.stack.training.objectives import Objective

    given = options()
    return BatchSource(given.data, base, Objective(given.objective), total=80).sequences["texts"]
