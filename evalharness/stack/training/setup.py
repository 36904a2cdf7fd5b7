"""What a training is made of, put together from its options and checked before the first step."""

from __future__ import annotations

import json
import os
import platform
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.optim import Optimizer

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.encoder_decoder import EncoderDecoder
from evalharness.stack.architectures.encoder_decoder_config import EncoderDecoderConfig
from evalharness.stack.architectures.mamba import Mamba
from evalharness.stack.checkpoints.load import open_checkpoint
from evalharness.stack.checkpoints.save import save_model
from evalharness.stack.config import AnyConfig
from evalharness.stack.corpus.reading import open_corpus
from evalharness.stack.durable import write_whole
from evalharness.stack.errors import TrainingError
from evalharness.stack.kernels.op import used
from evalharness.stack.tokenization.text import TextTokenizer, read_json, write_json
from evalharness.stack.training.balance import told_experts
from evalharness.stack.training.checkpoints import CheckpointStore, check_model
from evalharness.stack.training.costs import DTYPES, operations_of
from evalharness.stack.training.data import BatchMaker, BatchSource
from evalharness.stack.training.draws import DrawnBatches, Prefetched
from evalharness.stack.training.encoder_decoder_batches import Apart
from evalharness.stack.training.estimates import operations
from evalharness.stack.training.log import EVALUATIONS, LOG, Lines
from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.models import (
    TrainedConfig,
    begin,
    build_model,
    check_objective,
    config_to_json,
    with_config_defaults,
)
from evalharness.stack.training.objective_kinds import make_objective
from evalharness.stack.training.objectives import AnyBatch
from evalharness.stack.training.optimizers import make_optimizers
from evalharness.stack.training.options import ComputeOptions, PretrainOptions, TrainingOptions
from evalharness.stack.training.peaks import Peak, machine_peak
from evalharness.stack.training.processes import Processes
from evalharness.stack.training.saving import Saver
from evalharness.stack.training.schedules import check_batch, rate_factor, sequences_until
from evalharness.stack.training.state import capture, restore
from evalharness.stack.training.tokenizer import training_tokenizer

RUN = "run.json"
FREE = ("folder", "log_every", "tensorboard", "checkpoints", "validate_every", "validate_sequences", "parallel")
"""Options that may change when a training goes on: they do not touch what it computes, but for rounding."""


class TrainingParts(ABC):
    """What the loop puts in motion: options, data, a model, optimizers, and a folder.

    A subclass makes `tokenizer`, `config`, `source`, `decoder` and `inner`, and then calls `_ready`.
    """

    measures: tuple[str, ...] = ()
    """What the model says of a batch besides the loss, in this order."""
    start: Path | None = None
    """The model that the training begins with, where that is one that can be evaluated."""
    writes_beside: bool = True
    """Whether `write_model` takes all that it writes from the weights that it is given."""
    tokenizer: TextTokenizer
    config: AnyConfig
    source: DrawnBatches
    decoder: Decoder | EncoderDecoder | Mamba
    """What is trained."""
    inner: nn.Module
    """What makes losses of batches, by the decoder."""

    def __init__(self, options: TrainingOptions, base: Path, processes: Processes) -> None:
        self.options, self.processes = options, processes
        self.folder = base / options.folder
        self.device = processes.device(options.compute.device)
        self.dtype = DTYPES[options.compute.precision]
        self.validate_every = options.validate_every or options.checkpoints.every
        self.store = CheckpointStore(self.folder / "checkpoints", options.checkpoints.keep)
        self.log, self.evaluations = Lines(self.folder / LOG), Lines(self.folder / EVALUATIONS)

    def _ready(self) -> None:
        """Once data and model are there: the rest, and what is trained is written down.

        Raises:
            TrainingError, CheckpointError: they do not go together, or with what is in the folder.
        """
        self.batches = Prefetched(self.source)
        self.saver = self._new_saver()
        self.model = self._wrapped()
        self.optimizers = self._new_optimizers()
        self._remember()

    @property
    @abstractmethod
    def length(self) -> int:
        """Tokens of the longest sequence."""

    @abstractmethod
    def reset(self) -> None:
        """Be as before the first step."""

    @abstractmethod
    def _of_data(self) -> Mapping[str, Any]:
        """What tells the training's data from others, under names for people."""

    def tokens(self, batches: Sequence[AnyBatch], sequences: int) -> int:
        """Tokens that a step of so many sequences reads, of which `batches` are this process's."""
        return sequences * self.length

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Every parameter once, by its name in the decoder."""
        return self.decoder.named_parameters()

    def close(self) -> None:
        """Let go of what is shared with other processes, which has to be gone before they part (`processes`)."""
        self.model = self.inner

    @property
    def saves(self) -> bool:
        """Whether this process writes a part of checkpoints."""
        return self.processes.first

    def validation(self, sequences: int) -> list[AnyBatch]:
        """This process's batches of the first so many sequences that are held out."""
        return self.source.validation(sequences, self.micro(self.options.batch.sequences))

    def capture(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
        """Weights, and what a training needs beside them to go on: tensors, and facts that JSON knows. Every process
        calls this at once."""
        return dict(self.named_parameters()), *capture(self.named_parameters(), self.optimizers)

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> list[str]:
        """Bring optimizers and random numbers into a captured state; sentences on what is not as it was.

        Raises:
            CheckpointError: it is of another training.
        """
        return restore(tensors, facts, self.named_parameters(), self.optimizers)

    def _wrapped(self) -> nn.Module:
        """What is called with batches."""
        return self.processes.wrap(self.inner, self.device)

    def _new_optimizers(self) -> list[Optimizer]:
        return make_optimizers(self.named_parameters(), self.options.optimizer)

    def _new_saver(self) -> Saver:
        return Saver(self.store, beside=self.options.checkpoints.beside and self.writes_beside)

    def write_model(self, folder: Path, weights: Mapping[str, Tensor]) -> None:
        save_model(folder, self.config, weights, self.tokenizer)

    @torch.no_grad()
    def load_model(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Take a checkpoint's weights.

        Raises:
            CheckpointError: it is of another model.
        """
        check_model(path, {"model": with_config_defaults(facts["model"], str(path))}, self.config_json)
        self._take(dict(open_checkpoint(path).tensors()))

    def _take(self, weights: Mapping[str, Tensor]) -> None:
        for name, parameter in self.named_parameters():
            parameter.copy_(weights[name])

    def micro(self, sequences: int) -> int:
        """Sequences of a global batch that one process computes at once."""
        return self.options.batch.micro or sequences // self.processes.readers

    def any_process(self, flag: bool) -> bool:
        """Whether the flag is set in one of the processes; all of them ask at once."""
        return self.processes.any(flag, self.device)

    @cached_property
    def peak(self) -> Peak:
        """What `peak_share` is a share of; measured, where it is, when it is first asked for (0.3 s)."""
        return machine_peak(self.device, self.dtype)

    @cached_property
    def _operations_per_token(self) -> int:
        assert isinstance(self.decoder, Decoder)
        return operations(self.decoder, self.length).needed

    def peak_share(self, tokens_per_second: float) -> float:
        """The operations that the model needs, as a share of what the devices of all processes reach at best."""
        reached = tokens_per_second * self._operations_per_token
        return reached / (self.peak.operations_per_second * self.processes.count)

    def _remember(self) -> None:
        """Write down what is trained, with its operations for a token, or see that it is what the folder holds.

        Raises:
            TrainingError: the folder is of a training with other options.
        """
        self.config_json = config_to_json(self.config)
        told = {
            "options": json.loads(self.options.model_dump_json(exclude=set(FREE))),
            "tokenizer": self.tokenizer.fingerprint,
            **self._of_data(),
        }
        path = self.folder / RUN
        before = read_json(path)
        if before and self.store.newest() is not None:
            self._require_same(before, told)
        elif self.processes.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            model = {"model": self.config_json, "operations_per_token": self._operations_per_token}
            write_json(path, {**told, **model, "machine": machine(self.device)})
        self.processes.wait()

    def note_kernels(self) -> None:
        """Write down which implementations of the ops of `kernels` computed in this process, beside those that did
        before the training was interrupted."""
        if not self.processes.first:
            return
        told = read_json(self.folder / RUN)
        before: Mapping[str, Sequence[str]] = told.get("kernels", {})
        found = used()
        kernels = {
            op: list(dict.fromkeys((*before.get(op, ()), *found.get(op, ())))) for op in sorted({*before, *found})
        }
        if kernels != before:
            whole = json.dumps({**told, "kernels": kernels}, indent=2, ensure_ascii=False) + "\n"
            write_whole(self.folder / RUN, whole.encode())

    def _require_same(self, before: Mapping[str, Any], told: Mapping[str, Any]) -> None:
        there, here = with_defaults(type(self.options), before.get("options", {})), told["options"]
        if changed := sorted(key for key in {*there, *here} if there.get(key) != here.get(key)):
            raise TrainingError(
                f"{self.folder}: holds a training with other options ({', '.join(changed)}); give another folder, "
                "or delete this one."
            )
        for what in told:
            if what != "options" and before.get(what) != told[what]:
                raise TrainingError(
                    f"{self.folder}: holds a training with another {what}, though by the same name; give another "
                    "folder, or delete this one."
                )


class Training(TrainingParts):
    """A pretraining's parts.

    Raises:
        TrainingError, CorpusError, CheckpointError: the options do not go together, or with what is in the folder.
    """

    options: PretrainOptions
    source: BatchSource

    def __init__(self, options: PretrainOptions, base: Path, processes: Processes) -> None:
        super().__init__(options, base, processes)
        self.tokenizer, self.config, self.source = open_data(options, base, processes)
        set_arithmetic(options.compute)
        self.inner = build_model(options, self.config, self.device)
        self.decoder = self.inner.decoder if isinstance(self.inner, TrainingModel) else self.inner.model
        self.measures = told_experts(self.decoder) if isinstance(self.decoder, Decoder) else ()
        self._ready()

    @property
    def length(self) -> int:
        return self.options.data.context

    def reset(self) -> None:
        begin(self.decoder, self.options)
        for optimizer in self.optimizers:
            optimizer.state.clear()

    @cached_property
    def _operations_per_token(self) -> int:
        return operations_of(self.decoder, self.options, self.source.objective).needed

    def _of_data(self) -> Mapping[str, Any]:
        return {"corpus": self.source.corpus.fingerprint}


def with_defaults(kind: type[TrainingOptions], options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Options that an older version wrote down, with what has come since as it is by itself; those that this version
    does not know stay as they are."""
    try:
        filled = kind.model_validate({"folder": "", **options})
    except ValidationError:
        return options
    return json.loads(filled.model_dump_json(exclude=set(FREE)))  # type: ignore[no-any-return]


def open_data(
    options: PretrainOptions, base: Path, processes: Processes
) -> tuple[TextTokenizer, TrainedConfig, BatchSource]:
    """The corpus's tokenizer, the model for it, and the batches of the whole training.

    Raises:
        TrainingError, CorpusError, CheckpointError: the options do not go together, or with the corpus.
    """
    check_batch(options.batch, processes.readers)
    rate_factor(options.schedule, 0, options.steps)
    corpus = open_corpus(base / options.data.corpus)
    tokenizer = training_tokenizer(options.tokenizer, base, corpus)
    objective, tokenizer = make_objective(options.objective, tokenizer, options.seed)
    config = model_config(options, tokenizer)
    check_objective(options, config)
    maker: BatchMaker = Apart(objective, config.start_id) if isinstance(config, EncoderDecoderConfig) else objective
    corpus.require_vocabulary(config.vocab_size)
    source = BatchSource(
        options.data,
        base,
        maker,
        total=sequences_until(options.batch, options.steps),
        seed=options.seed,
        rank=processes.reader,
        ranks=processes.readers,
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


def model_config(options: PretrainOptions, tokenizer: TextTokenizer) -> TrainedConfig:
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
