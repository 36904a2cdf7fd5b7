"""What a training is made of, put together from its options and checked before the first step."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from evalharness.stack.architectures.composed import composed_from_json, composed_to_json
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
from evalharness.stack.training.estimates import operations
from evalharness.stack.training.log import EVALUATIONS, LOG, Lines
from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.objectives import Objective
from evalharness.stack.training.optimizers import make_optimizers
from evalharness.stack.training.options import ComputeOptions, PretrainOptions
from evalharness.stack.training.peaks import Peak, machine_peak
from evalharness.stack.training.processes import Processes
from evalharness.stack.training.saving import Saver
from evalharness.stack.training.schedules import check_batch, rate_factor, sequences_until
from evalharness.stack.training.tokenizer import training_tokenizer

RUN = "run.json"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
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
        self.dtype = DTYPES[options.compute.precision]
        self.validate_every = options.validate_every or options.checkpoints.every
        self.tokenizer, self.config, self.source = open_data(options, base, processes)
        self.config_json = composed_to_json(self.config)
        self.batches = Prefetched(self.source)
        self.store = CheckpointStore(self.folder / "checkpoints", options.checkpoints.keep)
        self.saver = Saver(self.store, beside=options.checkpoints.beside)
        self.log, self.evaluations = Lines(self.folder / LOG), Lines(self.folder / EVALUATIONS)
        set_arithmetic(options.compute)
        self.inner = build_model(options, self.config, self.device)
        self.model = processes.wrap(self.inner, self.device)
        self.optimizers = make_optimizers(self.named_parameters(), options.optimizer)
        self._remember()

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
        there = composed_to_json(composed_from_json(facts["model"], str(path)))
        check_model(path, {"model": there}, self.config_json)
        saved = dict(open_checkpoint(path).tensors())
        for name, parameter in self.named_parameters():
            parameter.copy_(saved[name])

    def reset(self) -> None:
        """Be as before the first step."""
        initialize(self.inner.decoder, self.options.seed, self.options.model.initial_deviation)
        for optimizer in self.optimizers:
            optimizer.state.clear()

    def micro(self, sequences: int) -> int:
        """Sequences of a global batch that one process computes at once."""
        return self.options.batch.micro or sequences // self.processes.count

    def any_process(self, flag: bool) -> bool:
        """Whether the flag is set in one of the processes; all of them ask at once."""
        return bool(self.processes.sum(torch.tensor(float(flag), device=self.device)))

    @cached_property
    def peak(self) -> Peak:
        """What `peak_share` is a share of; measured, where it is, when it is first asked for (0.3 s)."""
        return machine_peak(self.device, self.dtype)

    @cached_property
    def _operations_per_token(self) -> int:
        return operations(self.inner.decoder, self.options.data.context).needed

    def peak_share(self, tokens_per_second: float) -> float:
        """The operations that the model needs, as a share of what the devices of all processes reach at best."""
        reached = tokens_per_second * self._operations_per_token
        return reached / (self.peak.operations_per_second * self.processes.count)

    def _remember(self) -> None:
        """Write down what is trained, or see that it is what the folder holds.

        Raises:
            TrainingError: the folder is of a training with other options.
        """
        told = {
            "options": json.loads(self.options.model_dump_json(exclude=set(FREE))),
            "tokenizer": self.tokenizer.fingerprint,
            "corpus": self.source.corpus.fingerprint,
        }
        path = self.folder / RUN
        before = read_json(path)
        if before and self.store.newest() is not None:
            self._require_same(before, told)
        elif self.processes.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(path, {**told, "model": self.config_json, "machine": machine(self.device)})
        self.processes.wait()

    def _require_same(self, before: Mapping[str, Any], told: Mapping[str, Any]) -> None:
        there, here = with_defaults(before.get("options", {})), told["options"]
        if changed := sorted(key for key in {*there, *here} if there.get(key) != here.get(key)):
            raise TrainingError(
                f"{self.folder}: holds a training with other options ({', '.join(changed)}); give another folder, "
                "or delete this one."
            )
        for what in ("tokenizer", "corpus"):
            if before.get(what) != told[what]:
                raise TrainingError(
                    f"{self.folder}: holds a training with another {what}, though by the same name; give another "
                    "folder, or delete this one."
                )


def with_defaults(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Options that an older version wrote down, with what has come since as it is by itself; those that this version
    does not know stay as they are."""
    try:
        filled = PretrainOptions.model_validate({"folder": "", **options})
    except ValidationError:
        return options
    return json.loads(filled.model_dump_json(exclude=set(FREE)))  # type: ignore[no-any-return]


def open_data(
    options: PretrainOptions, base: Path, processes: Processes
) -> tuple[TextTokenizer, ModelConfig, BatchSource]:
    """The corpus's tokenizer, the model for it, and the batches of the whole training.

    Raises:
        TrainingError, CorpusError, CheckpointError: the options do not go together, or with the corpus.
    """
    check_batch(options.batch, processes.count)
    rate_factor(options.schedule, 0, options.steps)
    corpus = open_corpus(base / options.data.corpus)
    tokenizer = training_tokenizer(options.tokenizer, base, corpus)
    config = model_config(options, tokenizer)
    corpus.require_vocabulary(config.vocab_size)
    marker = options.objective.marker
    objective = Objective(options.objective, options.seed, tokenizer.encode(marker) if marker else ())
    source = BatchSource(
        options.data,
        base,
        objective,
        total=sequences_until(options.batch, options.steps),
        seed=options.seed,
        rank=processes.rank,
        ranks=processes.count,
    )
    if options.validate_sequences is not None and options.validate_sequences > source.held_out:
        raise TrainingError(
            f"validate_sequences is {options.validate_sequences:,}, but {source.held_out:,} are held out; hold out "
            "more (data.validation), or take fewer."
        )
    return tokenizer, config, source


def set_arithmetic(compute: ComputeOptions) -> None:
    """Let torch compute as the options say; for the whole process."""
    if compute.threads is not None:
        torch.set_num_threads(compute.threads)
    if compute.deterministic:
        # Read when the first product is computed; without it products on GPUs are refused.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # Else memory that nobody has written is filled each time.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(compute.deterministic)


def build_model(options: PretrainOptions, config: ModelConfig, device: torch.device) -> TrainingModel:
    """With the weights that a training begins with."""
    decoder = Decoder(config)
    initialize(decoder, options.seed, options.model.initial_deviation)
    decoder.to(device)
    return TrainingModel(
        decoder,
        z_loss=options.z_loss,
        balance_loss=options.balance_loss,
        embedding_gradient=options.embedding_gradient,
        dtype=DTYPES[options.compute.precision],
        recompute=options.compute.recompute == "blocks",
        compiled=options.compute.compile,
    )


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
