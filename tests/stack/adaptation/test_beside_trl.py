"""Losses beside trl's on the same conversations and pairs, and the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from stack.adaptation.tiny_finetuning import FEW, made, opened, pairs, write_model

from evalharness.stack.adaptation.batches import preference_batch
from evalharness.stack.adaptation.dpo import PreferenceModel
from evalharness.stack.adaptation.reference import with_reference
from evalharness.stack.checkpoints.load import load_model
from evalharness.stack.corpus.mixtures import Cursor
from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.processes import Processes

trl = pytest.importorskip("trl", reason="trl is not installed: pip install --no-deps trl")
# Its import and transformers' take 7 s.
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]
CLOSE = 1e-4


def arguments(kind: Any, folder: Path, **more: Any) -> Any:
    return kind(
        output_dir=str(folder),
        report_to=[],
        use_cpu=True,
        bf16=False,
        max_length=256,
        **more,
    )


def theirs(model: Path) -> tuple[Any, Any]:
    """A model as transformers loads it, and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.pad_token = tokenizer.eos_token
    return AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), tokenizer


def loss_of(trainer: Any, count: int) -> float:
    batch = next(iter(trainer.get_train_dataloader()))
    assert len(batch["input_ids"]) == count
    return float(trainer.compute_loss(trainer.model, batch).detach())


@pytest.mark.parametrize("packing", ["best_fit", "none"])
def test_supervised(tmp_path: Path, packing: str) -> None:
    from datasets import Dataset

    rows = [{"messages": messages} for messages in FEW]
    training = opened(made(tmp_path, rows), data={"packing": packing}, batch={"sequences": 1, "micro": 1})
    batches, _ = training.source.take(Cursor(), sum(training.source.sequences.values()), 8)
    with torch.no_grad():
        ours = sum(float(training.inner(batch)[1]) for batch in batches) / sum(float(batch.weight) for batch in batches)
    model, tokenizer = theirs(tmp_path / "model")
    trainer = trl.SFTTrainer(
        model=model,
        args=arguments(trl.SFTConfig, tmp_path / "trl", assistant_only_loss=True, per_device_train_batch_size=3),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    assert ours == pytest.approx(loss_of(trainer, 3), abs=CLOSE)


@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_preferences(tmp_path: Path, beta: float) -> None:
    """Plain texts, since of a chat template trl also learns the line's end that follows the end of an answer."""
    from datasets import Dataset

    made(tmp_path, pairs(5))
    write_model(tmp_path / "tuned", seed=1)
    training = opened(tmp_path, template="plain", objective={"name": "dpo"}, batch={"sequences": 5, "micro": 5})
    assert isinstance(training.inner, PreferenceModel)
    found = training.opened.sources["chats"]
    referenced = with_reference(found, training.inner, tmp_path, "test", 5, Processes())
    decoder, _ = load_model(tmp_path / "tuned")
    model = PreferenceModel(TrainingModel(decoder), beta, 0.0)
    with torch.no_grad():
        told = model(preference_batch(referenced))[1] / 5
    policy, tokenizer = theirs(tmp_path / "tuned")
    reference, _ = theirs(tmp_path / "model")
    trainer = trl.DPOTrainer(
        model=policy,
        ref_model=reference,
        args=arguments(trl.DPOConfig, tmp_path / "trl", beta=beta, per_device_train_batch_size=5),
        train_dataset=Dataset.from_list(pairs(5)),
        processing_class=tokenizer,
    )
    batch = next(iter(trainer.get_train_dataloader()))
    assert float(told[0]) == pytest.approx(float(trainer.compute_loss(trainer.model, batch).detach()), abs=CLOSE)
    measured = {name: sum(values) / len(values) for name, values in trainer._metrics["eval"].items()}
    assert float(told[1]) == pytest.approx(measured["rewards/accuracies"], abs=CLOSE)
    assert float(told[2]) == pytest.approx(measured["rewards/margins"], abs=CLOSE)
    assert float(told[3]) == pytest.approx(measured["logps/chosen"], abs=1e-3)
    assert float(told[4]) == pytest.approx(measured["logps/rejected"], abs=1e-3)
