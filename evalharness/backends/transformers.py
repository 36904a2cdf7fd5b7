"""The backend ``hf:PATH``: any causal or encoder-decoder model of the library `transformers`.

PATH is a folder that ``save_pretrained`` has written, or a model's name on the hub. Importing this module loads no
library, and `load` reads the configuration only; the weights are read at the first wave or by
`TransformersBackend.warm`. `from_objects` takes a model and a tokenizer that are in memory already.

Requests are computed in padded batches, the longest first. A causal model reads a sequence and scores its tokens from
``start`` on; the encoder of an encoder-decoder model reads what stands before ``start``, and its decoder scores the
rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from evalharness.backends.checks import Limits, torch_device
from evalharness.backends.huggingface_checkpoint import (
    HuggingFaceCheckpoint,
    architecture,
    at_least_one,
    checked_length,
    longest_sequence,
    needs,
    open_checkpoint,
    versions,
    vocab_size,
)
from evalharness.backends.huggingface_errors import library_errors
from evalharness.backends.huggingface_tokenizer import wrap
from evalharness.errors import DataError, EvalHarnessError, UsageError
from evalharness.types import BackendInfo, Likelihood, ScoreRequest, Ticket, Tokenizer, Wave

if TYPE_CHECKING:
    from evalharness.backends.batch_size import BatchSize
    from evalharness.backends.row_sampler import Text
    from evalharness.backends.transformers_model import LoadedModel

BATCH_TOKENS = {"cpu": 2048}
"""Tokens that are computed together, by the type of the device; a processor gains nothing from more."""
BATCH_TOKENS_ELSEWHERE = 16384
TEXTS = 4
"""Times as many positions a batch of texts may grow to: only their prompts are computed at once."""
ADAPTERS = "pip install 'evalharness[adapters]'"


def load(
    spec: str,
    *,
    dtype: str | None = None,
    device: str | None = None,
    max_length: int | None = None,
    tokenizer: str | None = None,
    revision: str | None = None,
    batch_tokens: int | None = None,
    threads: int | None = None,
    adapter: str | None = None,
    device_map: str | None = None,
    trust_remote_code: bool = False,
) -> TransformersBackend:
    """The model that `spec` names: a folder, or a name on the hub. Reads its configuration only.

    `dtype` is fp32 on a processor and the checkpoint's own elsewhere unless told otherwise, `device` a CUDA device
    where there is one; `device_map` spreads the weights over several instead (``auto``). `tokenizer` is a folder or
    name to take the tokenizer from instead, `adapter` a folder that `peft` has written. Code that a model brings is
    run only with `trust_remote_code`.

    Raises:
        UsageError: no such model, or a value that is not possible.
        ServiceError: a package or the hub is not there.
        DataError: the configuration cannot be read.
    """
    at_least_one(max_length=max_length, batch_tokens=batch_tokens, threads=threads)
    if device is not None and device_map is not None:
        raise UsageError(f"--device {device} and device_map={device_map}: give one of them.")
    place = f"hf:{spec}"
    for package in ("transformers", "torch", *(["accelerate"] if device_map else [])):
        needs(package, place)
    if adapter is not None:
        needs("peft", f"--adapter {adapter}", ADAPTERS)
    checkpoint = open_checkpoint(
        spec, kind="hf", revision=revision, adapter=adapter, trust_remote_code=trust_remote_code
    )
    checkpoint.dtype(dtype, "cpu")  # refuses a wrong name now
    return TransformersBackend(
        _Stored(checkpoint, dtype, device, device_map, threads, tokenizer),
        max_length=checked_length(max_length, checkpoint.max_length, checkpoint.name),
        batch_tokens=batch_tokens,
    )


def from_objects(
    model: Any, tokenizer: Any, *, max_length: int | None = None, batch_tokens: int | None = None
) -> TransformersBackend:
    """A backend around a model and a tokenizer of the library that are in memory, where they are and as they are.

    While a wave is answered the model is in evaluation mode and computes no gradients; afterwards every module is in
    the mode that it was in before. Nothing else of it is changed: a training loop may go on with it. The fingerprint
    is that of the weights as they are when it is asked for.

    Raises:
        UsageError: these are not a model and a tokenizer of the library, or a length that is not possible.
    """
    at_least_one(max_length=max_length, batch_tokens=batch_tokens)
    if not hasattr(model, "generate") or not hasattr(model, "config"):
        raise UsageError(f"a {type(model).__name__} is no model of transformers with a language modelling head.")
    if not hasattr(tokenizer, "special_tokens_map"):
        raise UsageError(f"a {type(tokenizer).__name__} is no tokenizer of transformers.")
    source = _InMemory(model, tokenizer)
    return TransformersBackend(
        source,
        max_length=checked_length(max_length, longest_sequence(model.config), source.name),
        batch_tokens=batch_tokens,
    )


class TransformersBackend:
    """An `evalharness.types.Backend` around a model of the library; made by `load` or `from_objects`."""

    def __init__(self, source: _Source, *, max_length: int | None, batch_tokens: int | None) -> None:
        self._source = source
        self._max_length = max_length
        self._batch_tokens = batch_tokens
        self._loaded: _Loaded | None = None

    @property
    def info(self) -> BackendInfo:
        """What a record says of the model; the first call reads all weights for the fingerprint (about 1 s a GB)."""
        source = self._source
        return BackendInfo(
            name=source.name,
            kind="transformers",
            accepts=frozenset({"ids"}),
            fingerprint=source.fingerprint,
            max_length=self._max_length,
            encoder_decoder=source.encoder_decoder,
            details=source.details() | versions("torch", "transformers"),
        )

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, or the one that was asked for instead."""
        return wrap(self._source.tokenizer)

    def warm(self) -> None:
        """Read the weights now instead of at the first wave.

        In a thread that ends, as in `evalharness.backends.stack.StackBackend.warm` and for its reason.
        """
        with ThreadPoolExecutor(1) as loading:
            loading.submit(self._ready).result()

    def answer(self, wave: Wave) -> None:
        """Serve the tickets of the wave: first what is scored, then what is generated."""
        from evalharness.backends.transformers_scoring import rows_of, score

        loaded = self._ready()
        scored: list[tuple[Ticket, tuple[int, ...], int]] = []
        texts: list[Text] = []
        for ticket in wave:
            if ticket.cancelled:
                continue
            try:
                if isinstance(ticket.request, ScoreRequest):
                    scored += self._scored(ticket, ticket.request, loaded.model)
                else:
                    texts += self._texts(ticket, loaded.model)
            except EvalHarnessError as error:
                ticket.fail(error)
        with loaded.model.evaluating():
            loaded.scores.serve(rows_of(scored, loaded.model), partial(score, loaded.model))
            loaded.texts.serve(texts, partial(_write, loaded.model))

    def close(self) -> None:
        """Let the weights go, where they are ours; a later wave reads them again."""
        self._loaded = None

    def _ready(self) -> _Loaded:
        if self._loaded is None:
            self._loaded = self._build()
        return self._loaded

    def _build(self) -> _Loaded:
        from evalharness.backends.batch_size import BatchSize
        from evalharness.backends.transformers_model import LoadedModel
        from evalharness.backends.transformers_scoring import pads_freely

        model = LoadedModel(self._source.model(), self._source.tokenizer)
        with model.evaluating():
            padded = pads_freely(model)
        tokens = self._batch_tokens or BATCH_TOKENS.get(model.model.device.type, BATCH_TOKENS_ELSEWHERE)
        scores = BatchSize(tokens, model.vocab_size, padded=padded)
        return _Loaded(model, scores, BatchSize(TEXTS * tokens, model.vocab_size, padded=padded))

    # ----------------------------------------------------------------------- tickets and rows

    def _limits(self, model: LoadedModel) -> Limits:
        return Limits(self._source.name, self._max_length, vocab_size(model.config))

    def _scored(
        self, ticket: Ticket, request: ScoreRequest, model: LoadedModel
    ) -> list[tuple[Ticket, tuple[int, ...], int]]:
        ended_by = len(model.encoder_end) if model.encoder_decoder else None
        ids, start = self._limits(model).scored(request, ended_by=ended_by), request.start
        if start == len(ids):
            ticket.begin()
            ticket.resolve(Likelihood((), ()))
            return []
        return [(ticket, ids, start)]

    def _texts(self, ticket: Ticket, model: LoadedModel) -> list[Text]:
        from evalharness.backends.row_sampler import TextJob

        request = ticket.request
        assert not isinstance(request, ScoreRequest)
        limits = self._limits(model)
        ids = limits.prompt(request, ended_by=len(model.encoder_end))
        eos = self.tokenizer.eos_id
        job = TextJob(
            ticket,
            request,
            ids,
            # The decoder of an encoder-decoder model counts from its own beginning.
            most_tokens=limits.most_tokens(request, 0 if model.encoder_decoder else len(ids)),
            kept=1 if model.keeps or model.encoder_decoder else len(ids),
            eos_ids=model.eos_ids | (frozenset() if eos is None else {eos}),
            decode=self.tokenizer.decode,
        )
        return job.texts()


@dataclass(frozen=True, slots=True)
class _Loaded:
    model: LoadedModel
    scores: BatchSize
    texts: BatchSize


def _write(model: LoadedModel, texts: list[Text]) -> None:
    """Let texts grow side by side until the last one is done."""
    from evalharness.backends.row_sampler import RowSampler

    sampler = RowSampler(texts)
    most = max(text.job.most_tokens for text in texts)
    model.generate([text.prompt for text in texts], most, sampler, sampler.stopped)


# --------------------------------------------------------------------------- where a model comes from


class _Source(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def encoder_decoder(self) -> bool: ...

    @property
    def tokenizer(self) -> Any:
        """The library's."""
        ...

    def details(self) -> dict[str, Any]: ...

    def model(self) -> Any: ...


class _Stored:
    """A model in files."""

    def __init__(
        self,
        checkpoint: HuggingFaceCheckpoint,
        dtype: str | None,
        device: str | None,
        device_map: str | None,
        threads: int | None,
        tokenizer: str | None,
    ) -> None:
        self._checkpoint = checkpoint
        self._asked_dtype = dtype
        self._asked_device = device
        self._device_map = device_map
        self._threads = threads
        self._asked_tokenizer = tokenizer

    @property
    def name(self) -> str:
        return self._checkpoint.name

    @property
    def fingerprint(self) -> str:
        return self._checkpoint.fingerprint

    @property
    def encoder_decoder(self) -> bool:
        return bool(self._checkpoint.config.is_encoder_decoder)

    @cached_property
    def tokenizer(self) -> Any:
        return self._checkpoint.tokenizer(self._asked_tokenizer)

    def details(self) -> dict[str, Any]:
        device = f"device map {self._device_map}" if self._device_map else self._device
        return self._checkpoint.details(self._dtype, device)

    def model(self) -> Any:
        checkpoint = self._checkpoint
        with library_errors(checkpoint.place), _no_progress_bars():
            import torch
            import transformers

            if self._threads is not None:
                torch.set_num_threads(self._threads)
            device = torch_device(self._device)
            seq2seq = checkpoint.config.is_encoder_decoder
            kind = transformers.AutoModelForSeq2SeqLM if seq2seq else transformers.AutoModelForCausalLM
            # Quantised weights are put where they belong while they are read; others are moved, which needs no package.
            placed = self._device_map or ({"": str(device)} if checkpoint.quantisation else None)
            model, told = kind.from_pretrained(
                checkpoint.source,
                config=checkpoint.config,
                revision=checkpoint.commit,
                trust_remote_code=checkpoint.trust_remote_code,
                dtype=self._dtype if self._dtype == "auto" else getattr(torch, self._dtype),
                device_map=placed,
                output_loading_info=True,
            )
            if missing := sorted(told["missing_keys"]):
                raise DataError(
                    f"{checkpoint.place}: {len(missing)} of the model's weights are not in its files, such as "
                    f"'{missing[0]}'; the checkpoint is incomplete or of another model."
                )
            if placed is None:
                model = model.to(device)
        return model.eval() if checkpoint.adapter is None else _adapted(model, checkpoint.adapter)

    @cached_property
    def _device(self) -> str:
        if self._asked_device is not None:
            return self._asked_device
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def _dtype(self) -> str:
        return self._checkpoint.dtype(self._asked_dtype, self._device)


class _InMemory:
    """A model and a tokenizer that somebody else has."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self.tokenizer = tokenizer
        self._known: tuple[object, str] | None = None
        """The weights' state and their fingerprint."""

    @property
    def name(self) -> str:
        told = str(getattr(self._model.config, "name_or_path", "") or type(self._model).__name__)
        return Path(told).resolve().name if Path(told).is_dir() else told

    @property
    def fingerprint(self) -> str:
        """sha256 over all parameters in order of their names; computed again once they have changed."""
        state = [
            (name, 0 if parameter.is_inference() else parameter._version, parameter.data_ptr(), _some(parameter))
            for name, parameter in self._model.named_parameters()
        ]
        if self._known is None or self._known[0] != state:
            self._known = state, _parameters_hash(self._model)
        return self._known[1]

    @property
    def encoder_decoder(self) -> bool:
        return bool(self._model.config.is_encoder_decoder)

    def details(self) -> dict[str, Any]:
        return {
            "architecture": architecture(self._model.config),
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "device": str(self._model.device),
            "parameters": sum(parameter.numel() for parameter in self._model.parameters()),
        }

    def model(self) -> Any:
        return self._model


def _some(parameter: Any) -> list[float]:
    """A few of a parameter's numbers: copies into its memory leave its version as it is."""
    flat = parameter.detach().reshape(-1)
    return [float(value) for value in flat[:: max(1, len(flat) // 8)].tolist()]


def _parameters_hash(model: Any) -> str:
    import torch

    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters(), key=lambda named: str(named[0])):
        numbers = parameter.detach().cpu().contiguous()
        digest.update(f"{name} {numbers.dtype} {list(numbers.shape)}\n".encode())
        digest.update(numbers.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _adapted(model: Any, adapter: Path) -> Any:
    with library_errors(f"--adapter {adapter}"):
        from peft import PeftModel

        return PeftModel.from_pretrained(model, str(adapter)).eval()


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Reading weights draws bars over those of a run."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
