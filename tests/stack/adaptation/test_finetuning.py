"""Whole fine-tunings: they learn, go on to the same bits, and leave alone what they should."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from stack.adaptation.tiny_finetuning import chats, made, opened, pairs, train, values, write_model, write_rows
from stack.training.fixtures import _training
from stack.training.tiny_pretraining import FakeEvaluator, lines, log_of, losses, weights

from evalharness.stack.adaptation.options import FinetuneOptions
from evalharness.stack.adaptation.setup import ADAPTER
from evalharness.stack.checkpoints.load import load_model, open_checkpoint
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.loop import Evaluation, Event
from evalharness.stack.training.processes import Processes, processes

__all__ = ["_training"]
pytestmark = pytest.mark.usefixtures("_training")

SFT: dict[str, Any] = {"data": {"validation": {"conversations": 3}}}
DPO: dict[str, Any] = {"objective": {"name": "dpo"}, **SFT}
LORA: dict[str, Any] = {"adapter": {"rank": 2, "dropout": 0.1}, **SFT}
KINDS = pytest.mark.parametrize("changes", [SFT, DPO, LORA], ids=["sft", "dpo", "lora"])


def rows(changes: dict[str, Any]) -> list[dict[str, Any]]:
    return pairs(12) if changes is DPO else chats(24)


def stopped_at(step: int) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        if event["step"] == step and "loss" in event:
            os.kill(os.getpid(), signal.SIGINT)

    return tell


def test_answers_are_learned(tmp_path: Path) -> None:
    outcome = train(made(tmp_path), steps=40, checkpoints={"every": 40}, **SFT)
    assert (outcome.step, outcome.ending) == (40, "done")
    found = losses(tmp_path / "run")
    assert found[0] > 5
    assert found[-1] < 2
    (validated,) = [line for line in log_of(tmp_path / "run") if "validation_loss" in line]
    assert validated["validation_loss"] < 3


def test_pairs_are_told_apart(tmp_path: Path) -> None:
    train(made(tmp_path, pairs(12)), steps=30, checkpoints={"every": 30}, **DPO)
    log = [line for line in log_of(tmp_path / "run") if "loss" in line]
    assert log[0]["loss"] == pytest.approx(0.693147, abs=1e-5)
    assert log[-1]["loss"] < 0.4
    assert log[-1]["accuracy"] == 1
    assert log[-1]["margin"] > 0.5
    assert {"chosen_log_probability", "rejected_log_probability"} <= log[0].keys()
    (validated,) = [line for line in log_of(tmp_path / "run") if "validation_loss" in line]
    assert validated["validation_accuracy"] == 1


@KINDS
def test_stopped_and_gone_on_with_to_the_same_bits(tmp_path: Path, changes: dict[str, Any]) -> None:
    made(tmp_path, rows(changes))
    assert train(tmp_path, tell=stopped_at(6), log_every=3, **changes).ending == "asked"
    assert train(tmp_path, log_every=3, **changes).ending == "done"
    train(tmp_path, "whole", log_every=3, **changes)
    assert log_of(tmp_path / "run") == log_of(tmp_path / "whole")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


@pytest.mark.long
def test_killed_between_two_checkpoints(tmp_path: Path) -> None:
    """What was done after the last checkpoint is done again, from the same random numbers."""
    made(tmp_path)
    train(tmp_path, tell=stopped_at(7), **LORA)
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-00000007")
    train(tmp_path, **LORA)
    train(tmp_path, "whole", **LORA)
    assert log_of(tmp_path / "run") == log_of(tmp_path / "whole")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_kill_9(tmp_path: Path) -> None:
    """A fork that is killed in its seventh step leaves a folder that goes on to the same bits."""
    made(tmp_path, pairs(12))
    process = os.fork()
    if process == 0:
        try:
            train(
                tmp_path, tell=lambda event: os.kill(os.getpid(), signal.SIGKILL) if event["step"] == 7 else None, **DPO
            )
        finally:
            os._exit(9)
    assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGKILL
    train(tmp_path, **DPO)
    train(tmp_path, "whole", **DPO)
    assert log_of(tmp_path / "run") == log_of(tmp_path / "whole")


def test_after_a_spike_it_goes_back_to_where_it_began(tmp_path: Path) -> None:
    training = opened(made(tmp_path), **SFT)
    before = {name: each.detach().clone() for name, each in training.named_parameters()}
    with torch.no_grad():
        for _, parameter in training.named_parameters():
            parameter.add_(1)
    training.reset()
    assert all(torch.equal(before[name], each) for name, each in training.named_parameters())


@KINDS
def test_a_checkpoint_is_a_model_that_the_engine_loads(tmp_path: Path, changes: dict[str, Any]) -> None:
    train(made(tmp_path, rows(changes)), steps=4, **changes)
    checkpoint = open_checkpoint(tmp_path / "run" / "checkpoints" / "step-00000004")
    assert checkpoint.config.architecture == "llama"
    start = open_checkpoint(tmp_path / "model")
    assert checkpoint.tokenizer().chat_template == start.tokenizer().chat_template
    assert checkpoint.fingerprint() != start.fingerprint()


def test_an_adapter_apart_computes_what_is_merged(tmp_path: Path) -> None:
    from evalharness.stack.adaptation.lora import load_adapter, merge

    train(made(tmp_path), steps=4, **LORA)
    folder = tmp_path / "run" / "checkpoints" / "step-00000004"
    assert {path.name for path in (folder / ADAPTER).iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    decoder, _ = load_model(tmp_path / "model")
    load_adapter(decoder, folder / ADAPTER)
    merge(decoder)
    merged, _ = load_model(folder)
    for name, tensor in decoder.state_dict().items():
        torch.testing.assert_close(merged.state_dict()[name], tensor)
    state = json.loads((folder / "training" / "state.json").read_text())
    assert all(name.endswith(("lora_A", "lora_B")) for name in state["state"]["parameters"])


def test_what_is_not_trained_stays(tmp_path: Path) -> None:
    train(made(tmp_path), steps=4, trained=["blocks.1.*", "norm.*"])
    found = load_file(tmp_path / "run" / "checkpoints" / "step-00000004" / "model.safetensors")
    before = load_file(tmp_path / "model" / "model.safetensors")
    changed = {name for name in before if not torch.equal(before[name], found[name])}
    assert changed
    assert all(".layers.1." in name or name == "model.norm.weight" for name in changed)
    with pytest.raises(
        TrainingError, match=r"trained: no parameter is named 'block\.\*'; there are: embedding.weight, "
    ):
        opened(tmp_path, "other", trained=["block.*"])


def test_what_it_begins_with_is_evaluated_where_an_evaluator_wants_it(tmp_path: Path) -> None:
    class Before(FakeEvaluator):
        def due(self, step: int) -> bool:
            return step in (0, 12)

        def __call__(self, step: int, checkpoint: Path) -> Evaluation:
            self.asked.append(step)
            assert checkpoint == (tmp_path / "model" if step == 0 else tmp_path / "run/checkpoints/step-00000012")
            return Evaluation({"seen": step})

    evaluator = Before()
    train(made(tmp_path), tell=stopped_at(2), evaluator=evaluator)
    train(tmp_path, evaluator=evaluator)
    assert evaluator.asked == [0, 12]
    assert [row["step"] for row in lines(tmp_path / "run" / "evaluations.jsonl")] == [0, 12]


def test_frozen_weights_need_fewer_operations(tmp_path: Path) -> None:
    """4 in place of 6 for each weight that a token is multiplied by and that does not learn."""
    whole, adapted = opened(made(tmp_path)), opened(tmp_path, "other", adapter={"rank": 2})
    head = adapted.decoder.head.weight
    assert isinstance(head, torch.Tensor)
    frozen = sum(
        each.numel() for each in adapted.decoder.blocks.parameters() if not each.requires_grad and each.dim() == 2
    )
    added = sum(each.numel() for each in adapted.decoder.parameters() if each.requires_grad)
    fewer = whole._operations_per_token - adapted._operations_per_token
    assert fewer == 2 * (frozen + head.numel()) - 6 * added


def test_micro_batches_change_nothing_but_rounding(tmp_path: Path) -> None:
    """Every token of an answer counts alike, however conversations of many lengths lie among micro-batches."""
    made(tmp_path)
    for name, micro in (("one", 1), ("four", 4)):
        train(tmp_path, name, batch={"sequences": 4, "micro": micro}, data={"packing": "none"}, steps=6)
    assert losses(tmp_path / "one") == pytest.approx(losses(tmp_path / "four"), rel=1e-4)


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("data", "holds a training with another data, though by the same name"),
        ("model", "holds a training with another start, though by the same name"),
        ("options", r"holds a training with other options \(optimizer\)"),
    ],
)
def test_a_folder_with_another_training(tmp_path: Path, what: str, sentence: str) -> None:
    train(made(tmp_path, pairs(12)), steps=4, **DPO)
    before = (tmp_path / "run" / "reference.safetensors").read_bytes()
    changes: dict[str, Any] = {}
    if what == "data":
        write_rows(tmp_path / "chats.jsonl", pairs(11))
    elif what == "model":
        shutil.rmtree(tmp_path / "model")
        write_model(tmp_path / "model", seed=8)
    else:
        changes = {"optimizer": [{"rate": 0.02}]}
    with pytest.raises(TrainingError, match=sentence):
        opened(tmp_path, steps=4, **DPO, **changes)
    assert (tmp_path / "run" / "reference.safetensors").read_bytes() == before


def test_two_readers_take_what_one_does(tmp_path: Path) -> None:
    """Of each batch, the ranks' parts together are the whole."""
    from evalharness.stack.adaptation.setup import Finetuning
    from evalharness.stack.corpus.mixtures import Cursor

    made(tmp_path)
    given = FinetuneOptions.model_validate(values(data={"packing": "none"}, batch={"sequences": 4}))
    with processes("cpu") as alone:
        whole, _ = Finetuning(given, tmp_path / "model", tmp_path, alone, print).source.take(Cursor(), 4, 4)
    parts = []
    for rank in range(2):
        found = opened(tmp_path, "run", data={"packing": "none"}, batch={"sequences": 4})
        found.processes = Processes(rank, 2)
        found.source = found._drawn(found.opened.sources, [], found.source._batch)
        parts += found.source.take(Cursor(), 4, 2)[0]
    assert sum(float(part.weight) for part in parts) == float(whole[0].weight)
