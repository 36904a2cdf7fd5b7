"""What a fine-tuning is made of; the loop is that of a pretraining."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evalharness.stack.adaptation.batches import PreferenceBatch, chat_batch, preference_batch
from evalharness.stack.adaptation.data import mixture_of
from evalharness.stack.adaptation.dpo import MEASURES, PreferenceModel
from evalharness.stack.adaptation.lora import (
    adapted_layers,
    adapter_parameters,
    add_adapter,
    merged_weights,
    save_adapter,
)
from evalharness.stack.adaptation.opened import Opened, open_finetuning
from evalharness.stack.adaptation.options import BETA, LABEL_SMOOTHING, FinetuneOptions, TuningObjective
from evalharness.stack.adaptation.reference import with_reference
from evalharness.stack.architectures.composed import composed_from_json, composed_to_json
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.checkpoints.adapters import AdapterFolder
from evalharness.stack.checkpoints.load import build
from evalharness.stack.checkpoints.save import save_model
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.checkpoints import check_model
from evalharness.stack.training.costs import DTYPES
from evalharness.stack.training.draws import DrawnBatches
from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.objectives import AnyBatch, Batch
from evalharness.stack.training.processes import Processes, processes
from evalharness.stack.training.schedules import sequences_until
from evalharness.stack.training.setup import TrainingParts, set_arithmetic

ADAPTER = "adapter"
"""Folder of a checkpoint with the adapter alone, as PEFT reads it; beside it lies the merged model."""
MOST_NAMED = 8
"""Parameters that a message names."""


@contextmanager
def finetuning(
    options: FinetuneOptions, start: Path, base: Path, note: Callable[[str], None] = lambda sentence: None
) -> Iterator[Finetuning]:
    """The parts of a fine-tuning, for the loop, among the processes that torchrun has started.

    Args:
        start: the model that `options.model` means.
        base: the folder that paths start at.
        note: hears sentences on what was read and what takes long before the first step, in the first process.

    Raises:
        TrainingError, CheckpointError: the options do not go together, or with the model, the data or the folder.
    """
    with processes(options.compute.device) as here:
        yield Finetuning(options, start, base, here, note if here.first else lambda sentence: None)


class Finetuning(TrainingParts):
    """A fine-tuning's parts.

    Raises:
        TrainingError, CheckpointError: as `finetuning`.
    """

    options: FinetuneOptions
    decoder: Decoder

    def __init__(
        self, options: FinetuneOptions, start: Path, base: Path, processes: Processes, note: Callable[[str], None]
    ) -> None:
        self.opened = opened = open_finetuning(options, start, base, processes.count)
        for sentence in opened.told():
            note(sentence)
        super().__init__(opened.options, base, processes)
        self.start, self.tokenizer, self.config = start, opened.tokenizer, opened.config
        self.writes_beside = options.adapter is None
        self._start_hash = opened.checkpoint.fingerprint()
        set_arithmetic(options.compute)
        self.decoder = tuned_decoder(opened, self.device)
        inner = training_model(opened.options, self.decoder)
        if options.objective.name == "dpo":
            self._remember()  # a folder with another training must keep its reference
            self.inner = model = preference_model(options.objective, inner)
            self.measures = MEASURES
            self.source = self._drawn(*self._referenced(model, note), preference_batch)
        else:
            self.inner = inner
            self.source = self._drawn(opened.sources, opened.held_out, chat_batch)
        self._first = {name: tensor.detach().clone() for name, tensor in adapter_parameters(self.decoder)}
        self._seed()
        self._ready()

    @property
    def length(self) -> int:
        return self.options.data.context

    def tokens(self, batches: Sequence[AnyBatch], sequences: int) -> int:
        """Padding is counted, as it is computed; all processes are taken to read as much as this one."""
        return sum(_inputs(batch).numel() for batch in batches) * self.processes.readers

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Of an adapter, its own alone."""
        return super().named_parameters() if self.options.adapter is None else adapter_parameters(self.decoder)

    def write_model(self, folder: Path, weights: Mapping[str, Tensor]) -> None:
        if self.options.adapter is not None:
            save_adapter(folder / ADAPTER, self.decoder, base=str(self.start))
            weights = {name: tensor.cpu() for name, tensor in merged_weights(self.decoder).items()}
        save_model(folder, self.config, weights, self.tokenizer)

    @torch.no_grad()
    def load_model(self, path: Path, facts: Mapping[str, Any]) -> None:
        if self.options.adapter is None:
            super().load_model(path, facts)
            return
        check_model(path, {"model": composed_to_json(composed_from_json(facts["model"], str(path)))}, self.config_json)
        saved = AdapterFolder(path / ADAPTER).read(self.config)
        for name, layer in adapted_layers(self.decoder).items():
            layer.lora_A.copy_(saved[name].a_RI)
            layer.lora_B.copy_(saved[name].b_OR)

    @torch.no_grad()
    def reset(self) -> None:
        self._take(self._first or dict(self.opened.checkpoint.tensors()))
        self._seed()
        for optimizer in self.optimizers:
            optimizer.state.clear()

    def _seed(self) -> None:
        """Of dropout; each process draws its own."""
        torch.manual_seed(self.options.seed + self.processes.rank)

    def _of_data(self) -> Mapping[str, Any]:
        return {"start": self._start_hash, "data": self.opened.fingerprint}

    def _drawn(self, sources: Mapping[str, list[Any]], held_out: list[Any], batch: Any) -> DrawnBatches:
        options = self.options
        sizes = {name: len(items) for name, items in sources.items()}
        return DrawnBatches(
            sources,
            held_out,
            batch,
            mixture_of(options.data, sizes, options.seed),
            total=sequences_until(options.batch, options.steps),
            place=f"data ({', '.join(sources)})",
            rank=self.processes.reader,
            ranks=self.processes.readers,
        )

    def _referenced(
        self, model: PreferenceModel, note: Callable[[str], None]
    ) -> tuple[dict[str, list[Any]], list[Any]]:
        """Sources and what is held out, with the reference's log-probabilities."""
        opened = self.opened
        pairs = [*chain.from_iterable(opened.sources.values()), *opened.held_out]
        of = f"{self._start_hash} {opened.fingerprint} {self.options.compute.precision}"
        at_once = self.micro(self.options.batch.sequences)
        found = iter(with_reference(pairs, model, self.folder, of, at_once, self.processes, note))
        sources = {name: [next(found) for _ in items] for name, items in opened.sources.items()}
        return sources, list(found)


def tuned_decoder(opened: Opened, device: torch.device) -> Decoder:
    """The decoder with its weights, of which those learn that the options say.

    Raises:
        TrainingError: as `let_learn`.
    """
    decoder = build(opened.checkpoint, torch.float32, device).train()
    let_learn(decoder, opened.options)
    return decoder


def let_learn(decoder: Decoder, options: FinetuneOptions) -> None:
    """Let those parameters have gradients that the options mean, adding an adapter where one is asked for.

    Raises:
        TrainingError: no parameter is meant, or no layer.
    """
    if options.adapter is not None:
        add_adapter(decoder, options.adapter, options.seed)
        return
    names = [name for name, _ in decoder.named_parameters()]
    for pattern in options.trained:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise TrainingError(
                f"trained: no parameter is named '{pattern}'; there are: {', '.join(names[:MOST_NAMED])}, ..."
            )
    for name, parameter in decoder.named_parameters():
        parameter.requires_grad_(any(fnmatchcase(name, pattern) for pattern in options.trained))


def training_model(options: FinetuneOptions, decoder: Decoder) -> TrainingModel:
    return TrainingModel(
        decoder,
        balance_loss=options.balance_loss,
        dtype=DTYPES[options.compute.precision],
        recompute=options.compute.recompute == "blocks",
        compiled=options.compute.compile,
    )


def preference_model(objective: TuningObjective, inner: TrainingModel) -> PreferenceModel:
    beta, smoothing = objective.beta, objective.label_smoothing
    return PreferenceModel(inner, BETA if beta is None else beta, LABEL_SMOOTHING if smoothing is None else smoothing)


def _inputs(batch: AnyBatch) -> Tensor:
    if isinstance(batch, PreferenceBatch):
        batch = batch.sequences
    assert isinstance(batch, Batch)
    return batch.inputs_BT
