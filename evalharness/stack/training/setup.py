"""What a training is made of, put together from its options and checked before the first step."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evalharness.stack.architectures.composed import composed_to_json
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.initial import initialize
from evalharness.stack.checkpoints.load import open_checkpoint
from evalharness.stack.checkpoints.save import save_model
from evalharness.stack.config import ModelConfig
from evalharness.stack.corpus.reading import open_corpus
from evalharness.stack.errors import TrainingError
from evalharness.stack.tokenization.text import TextTokenizer, read_json, write_json
from evalharness.stack.training.checkpoints import CheckpointStore, check_model
from evalharness.stack.training.data import BatchSource, Prefetched
from evalharness.stack.training.log import EVALUATIONS, LOG, Lines
from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.objectives import Objective
from evalharness.stack.training.optimizers import make_optimizers
from evalharness.stack.training.options import PretrainOptions
from evalharness.stack.training.processes import Processes
from evalharness.stack.training.saving import Saver
from evalharness.stack.training.schedules import check_batch, rate_factor, sequences_until
from evalharness.stack.training.tokenizer import training_tokenizer

RUN = "run.json"
FREE = ("folder", "log_every", "tensorboard", "checkpoints", "validate_every", "validate_sequences")
"""Options that may change when a training goes on: they do not touch what it computes."""


class Training:
    """One training's parts.

    Raises:
        TrainingError, CorpusError, CheckpointError: the options do not go together, or with what is in the folder.
    """

    def __init__(self, options: PretrainOptions, base: Path, processes: Processes) -> None:
        self.options, self.processes = options, processes
        self.folder = base / options.folder
        self.device = processes.device(options.compute.device)
        self.validate_every = options.validate_every or options.checkpoints.every
        check_batch(options.batch, processes.count)
        rate_factor(options.schedule, 0, options.steps)
        corpus = open_corpus(base / options.data.corpus)
        self.tokenizer = training_tokenizer(options.tokenizer, base, corpus)
        self.config = model_config(options, self.tokenizer)
        corpus.require_vocabulary(self.config.vocab_size)
        self.config_json = composed_to_json(self.config)
        marker = options.objective.marker
        objective = Objective(options.objective, options.seed, self.tokenizer.encode(marker) if marker else ())
        self.source = BatchSource(
            options.data,
            base,
            objective,
            total=sequences_until(options.batch, options.steps),
            seed=options.seed,
            rank=processes.rank,
            ranks=processes.count,
        )
        self.batches = Prefetched(self.source)
        self.store = CheckpointStore(self.folder / "checkpoints", options.checkpoints.keep)
        self.saver = Saver(self.store, beside=options.checkpoints.beside)
        self.log, self.evaluations = Lines(self.folder / LOG), Lines(self.folder / EVALUATIONS)
        self._remember()
        self._set_arithmetic()
        decoder = Decoder(self.config)
        initialize(decoder, options.seed, options.model.initial_deviation)
        decoder.to(self.device)
        self.inner = TrainingModel(
            decoder,
            z_loss=options.z_loss,
            embedding_gradient=options.embedding_gradient,
            dtype=torch.bfloat16 if options.compute.precision == "bf16" else torch.float32,
            recompute=options.compute.recompute == "blocks",
            compiled=options.compute.compile,
        )
        self.model = processes.wrap(self.inner, self.device)
        self.optimizers = make_optimizers(self.named_parameters(), options.optimizer)

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Every parameter once, by its name in the decoder."""
        return self.inner.decoder.named_parameters()

    def write_model(self, folder: Path, weights: Mapping[str, Tensor]) -> None:
        save_model(folder, self.config, weights, self.tokenizer)

    @torch.no_grad()
    def load_model(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Take a checkpoint's weights.

        Raises:
            CheckpointError: it is of another model.
        """
        check_model(path, facts, self.config_json)
        saved = dict(open_checkpoint(path).tensors())
        for name, parameter in self.named_parameters():
            parameter.copy_(saved[name])

    def reset(self) -> None:
        """Be as before the first step."""
        initialize(self.inner.decoder, self.options.seed, self.options.model.initial_deviation)
        for optimizer in self.optimizers:
            optimizer.state.clear()

    def peak_share(self, tokens_per_second: float) -> float | None:
        """The operations that the model needs, as a share of what this device's matrix products reach."""
        return None

    def _remember(self) -> None:
        """Write down what is trained, or see that it is what the folder holds.

        Raises:
            TrainingError: the folder is of a training with other options.
        """
        told = json.loads(self.options.model_dump_json(exclude=set(FREE)))
        path = self.folder / RUN
        before = read_json(path).get("options")
        if before is not None and self.store.newest() is not None:
            changed = sorted(key for key in {*told, *before} if told.get(key) != before.get(key))
            if changed:
                raise TrainingError(
                    f"{self.folder}: holds a training with other options ({', '.join(changed)}); give another folder, "
                    "or delete this one."
                )
        elif self.processes.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(path, {"options": told, "model": self.config_json, "machine": machine(self.device)})
        self.processes.wait()

    def _set_arithmetic(self) -> None:
        compute = self.options.compute
        if compute.threads is not None:
            torch.set_num_threads(compute.threads)
        torch.use_deterministic_algorithms(compute.deterministic)


def model_config(options: PretrainOptions, tokenizer: TextTokenizer) -> ModelConfig:
    """The model of a training: its vocabulary is the tokenizer's unless the options say another."""
    ids = tokenizer.tokenizer.get_vocab(with_added_tokens=True).values()
    return options.model.to_config(
        vocab_size=max(ids) + 1,
        max_length=options.data.context,
        bos_id=tokenizer.bos_id,
        eos_ids=() if tokenizer.eos_id is None else (tokenizer.eos_id,),
    )


def machine(device: torch.device) -> dict[str, Any]:
    """What decides the bits of a training beside its options."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {"device": str(device.type), "name": name, "torch": torch.__version__, "threads": torch.get_num_threads()}
