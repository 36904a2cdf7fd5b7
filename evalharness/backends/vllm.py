"""The backend ``vllm:PATH``: an engine of vLLM that this process starts, and that answers token ids.

PATH is a folder in the Hugging Face format, or a model's name on the hub. Importing this module loads no library, and
`load` reads the configuration only; the engine starts at the first wave or by `VllmBackend.warm`. One engine serves a
run; to use several, start several runs.

A continuation of one token is scored by letting vLLM say that token behind its context and reading the log-probability
that the model gives it, before anything was forbidden. So the choices of one context read it once: vLLM keeps whole
blocks of it in its prefix cache. A longer continuation needs the log-probabilities of prompt tokens, for which vLLM
reads the whole prompt again: it does not serve them from its prefix cache, and four choices of a sentence each read
their context four times.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from evalharness.backends.checks import Limits
from evalharness.backends.huggingface_checkpoint import (
    HuggingFaceCheckpoint,
    at_least_one,
    checked_length,
    eos_ids,
    needs,
    open_checkpoint,
    versions,
)
from evalharness.backends.huggingface_errors import first_line
from evalharness.backends.huggingface_tokenizer import wrap
from evalharness.errors import DataError, EvalHarnessError, ServiceError, UsageError
from evalharness.types import (
    BackendInfo,
    Completion,
    Completions,
    FinishReason,
    GenerateRequest,
    Likelihood,
    Result,
    ScoreRequest,
    Ticket,
    Tokenizer,
    Wave,
)

INSTALL = "pip install 'evalharness[vllm]' (on a processor see docs/models.md)"
IN_ENGINE = 2
"""Times as many requests as vLLM computes at once are in its hands: the next ones wait there, not here."""
SETTINGS = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    # On a processor its workers do not end by themselves in the five seconds that they are given.
    "VLLM_WORKER_SHUTDOWN_TIMEOUT_SECONDS": "1",
    # Standard output belongs to the results.
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
}
"""Environment variables that vLLM starts with, where they are not set."""
ADAPTER_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks that vLLM can be prepared for."""


def load(
    spec: str,
    *,
    dtype: str | None = None,
    max_length: int | None = None,
    tokenizer: str | None = None,
    revision: str | None = None,
    threads: int | None = None,
    tensor_parallel: int | None = None,
    gpu_memory: float | None = None,
    adapter: str | None = None,
    trust_remote_code: bool = False,
    kv_memory: float | None = None,
) -> VllmBackend:
    """The model that `spec` names, behind vLLM. Reads its configuration only.

    `dtype` is fp32 on a processor and the checkpoint's own elsewhere unless told otherwise. `tensor_parallel` spreads
    the weights over so many devices, `gpu_memory` is the share of each that vLLM may take, `kv_memory` the GiB that
    keys and values take instead of the rest of it (on a processor a quarter of the memory that is free); `threads`
    are those of a processor. `adapter` is a folder that `peft` has written.

    Raises:
        UsageError: no such model, one that vLLM does not run, or a value that is not possible.
        ServiceError: vLLM or the hub is not there.
        DataError: the configuration cannot be read.
    """
    at_least_one(max_length=max_length, threads=threads, tensor_parallel=tensor_parallel)
    if gpu_memory is not None and not 0 < gpu_memory <= 1:
        raise UsageError(f"gpu_memory={gpu_memory:g}: give the share of a device's memory, above 0 and at most 1.")
    if kv_memory is not None and kv_memory <= 0:
        raise UsageError(f"--kv-memory {kv_memory:g}: give the GiB that keys and values may take.")
    if os.environ.get("VLLM_DP_SIZE", "1") != "1":
        raise UsageError("VLLM_DP_SIZE is set: one engine serves a run; unset it, and start several runs instead.")
    place = f"vllm:{spec}"
    needs("vllm", place, INSTALL)
    checkpoint = open_checkpoint(
        spec, kind="vllm", revision=revision, adapter=adapter, trust_remote_code=trust_remote_code
    )
    if checkpoint.config.is_encoder_decoder:
        raise UsageError(f"{place}: vLLM runs no encoder-decoder model of text; name it hf:{spec}.")
    checkpoint.dtype(dtype, "cpu")  # refuses a wrong name now
    return VllmBackend(
        checkpoint,
        dtype=dtype,
        max_length=checked_length(max_length, checkpoint.max_length, checkpoint.name),
        tokenizer=tokenizer,
        threads=threads,
        tensor_parallel=tensor_parallel,
        gpu_memory=gpu_memory,
        kv_memory=kv_memory,
    )


class VllmBackend:
    """An `evalharness.types.Backend` around vLLM's engine; made by `load`."""

    def __init__(
        self,
        checkpoint: HuggingFaceCheckpoint,
        *,
        dtype: str | None,
        max_length: int | None,
        tokenizer: str | None,
        threads: int | None,
        tensor_parallel: int | None,
        gpu_memory: float | None,
        kv_memory: float | None,
    ) -> None:
        self._checkpoint = checkpoint
        self._asked_dtype = dtype
        self._max_length = max_length
        self._tokenizer = tokenizer
        self._threads = threads
        self._tensor_parallel = tensor_parallel
        self._gpu_memory = gpu_memory
        self._kv_memory = kv_memory
        self._llm: Any = None
        self._asked = 0
        """Requests that the engine was handed so far: their numbers are their names."""

    @cached_property
    def info(self) -> BackendInfo:
        """What a record says of the model; reads all weights for the fingerprint (about 1 s a GB)."""
        checkpoint = self._checkpoint
        details = checkpoint.details(self._dtype, self._device)
        return BackendInfo(
            name=checkpoint.name,
            kind="vllm",
            accepts=frozenset({"ids"}),
            fingerprint=checkpoint.fingerprint,
            max_length=self._max_length,
            details=details | {"tensor_parallel": self._tensor_parallel or 1} | versions("vllm", "torch"),
        )

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, or the one that was asked for instead."""
        return wrap(self._checkpoint.tokenizer(self._tokenizer))

    def warm(self) -> None:
        """Start the engine now instead of at the first wave."""
        self._ready()

    def answer(self, wave: Wave) -> None:
        """Serve the tickets of the wave and all that join it meanwhile."""
        engine = self._ready().llm_engine
        most = IN_ENGINE * engine.vllm_config.scheduler_config.max_num_seqs
        waiting: deque[_Part] = deque()
        running: dict[str, _Part] = {}
        arrived = list(wave)
        try:
            while True:
                for ticket in arrived:
                    waiting += self._parts(ticket)
                arrived = wave.joined()
                self._drop_cancelled(engine, running)
                while waiting and len(running) < most:
                    self._add(engine, waiting.popleft(), running)
                if running:
                    for output in engine.step():
                        _hear(output, running)
                elif not arrived and not waiting:
                    return
        except BaseException as error:
            self.close()  # what was in its hands is nobody's any more
            if _is_dead(error):
                raise ServiceError(f"vLLM's engine has stopped ({first_line(error)}); its log says why.") from None
            raise

    def close(self) -> None:
        """End the engine; a later wave starts another one."""
        if self._llm is not None:
            self._llm.llm_engine.engine_core.shutdown()
            self._llm = None

    # ----------------------------------------------------------------------- the engine

    def _ready(self) -> Any:
        if self._llm is None:
            self._llm = self._build()
        return self._llm

    def _build(self) -> Any:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        if self._threads is not None and self._device == "cpu":
            os.environ |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(self._threads)}
        options: dict[str, Any] = {}
        if self._max_length is not None:
            # The token that ends a sequence is said and never fed: there is a place for it behind the longest one.
            options["max_model_len"] = self._max_length + 1
            os.environ["VLLM_ALLOW_LONG_MAX_MODEL_LEN"] = "1"
        if self._gpu_memory is not None:
            options["gpu_memory_utilization"] = self._gpu_memory
        if (kv_memory := self._kv_bytes()) is not None:
            options["kv_cache_memory_bytes"] = kv_memory
        checkpoint = self._checkpoint
        if checkpoint.adapter is not None:
            options |= {"enable_lora": True, "max_lora_rank": self._adapter_rank()}
        try:
            from vllm import LLM

            return LLM(
                model=checkpoint.source,
                tokenizer=self._tokenizer or checkpoint.source,
                revision=checkpoint.commit,
                tokenizer_revision=None if self._tokenizer else checkpoint.commit,
                trust_remote_code=checkpoint.trust_remote_code,
                dtype=self._dtype,
                tensor_parallel_size=self._tensor_parallel or 1,
                enable_prefix_caching=True,
                use_tqdm_on_load=False,
                # Requests say all that is to be known of their sampling.
                generation_config="vllm",
                max_logprobs=-1,
                logprobs_mode="raw_logprobs",
                seed=0,
                **options,
            )
        except Exception as error:  # of the configuration, of torch, or what an engine in another process says
            raise ServiceError(f"{checkpoint.place}: vLLM does not start: {_reason(error)}.") from None

    @cached_property
    def _device(self) -> str:
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def _dtype(self) -> str:
        return self._checkpoint.dtype(self._asked_dtype, self._device)

    def _kv_bytes(self) -> int | None:
        if self._kv_memory is not None:
            return int(self._kv_memory * 2**30)
        if self._device != "cpu":
            return None
        import psutil

        return int(psutil.virtual_memory().available) // 4

    def _adapter_rank(self) -> int:
        assert self._checkpoint.adapter is not None
        path = self._checkpoint.adapter / "adapter_config.json"
        try:
            rank = int(json.loads(path.read_text(encoding="utf-8"))["r"])
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{path}: no rank 'r'; vLLM runs adapters of the kind LoRA only.") from None
        return next((most for most in ADAPTER_RANKS if rank <= most), rank)

    @cached_property
    def _adapter(self) -> Any:
        if self._checkpoint.adapter is None:
            return None
        from vllm.lora.request import LoRARequest

        return LoRARequest("adapter", 1, str(self._checkpoint.adapter.resolve()))

    # ----------------------------------------------------------------------- tickets and requests

    def _parts(self, ticket: Ticket) -> list[_Part]:
        """What the engine is asked for a ticket; nothing where it could be answered or had to be failed at once."""
        if ticket.cancelled:
            return []
        try:
            if isinstance(ticket.request, ScoreRequest):
                return self._score_parts(ticket, ticket.request)
            return self._text_parts(ticket, ticket.request)
        except EvalHarnessError as error:
            ticket.fail(error)
            return []

    @cached_property
    def _limits(self) -> Limits:
        return Limits(self._checkpoint.name, self._max_length, self._checkpoint.vocab_size)

    def _score_parts(self, ticket: Ticket, request: ScoreRequest) -> list[_Part]:
        """What is fed is the prompt; the last token is the one that is said."""
        from vllm import SamplingParams

        ids, start = self._limits.scored(request), request.start
        if start == len(ids):
            ticket.begin()
            ticket.resolve(Likelihood((), ()))
            return []
        sampling = SamplingParams(
            temperature=0,
            max_tokens=1,
            allowed_token_ids=[ids[-1]],
            logprobs=1,
            prompt_logprobs=None if start == len(ids) - 1 else 1,
            detokenize=False,
        )
        return [_Part(_Job(ticket, 1, lambda outputs: _likelihood(outputs[0], ids, start)), 0, ids[:-1], sampling)]

    def _text_parts(self, ticket: Ticket, request: GenerateRequest) -> list[_Part]:
        ids, asked = self._limits.prompt(request), request.sampling
        computed = request.n if asked.temperature > 0 else 1

        def completions(outputs: Sequence[Any]) -> Completions:
            texts = [self._completion(output.outputs[0], request) for output in outputs]
            return Completions(tuple(texts[number % computed] for number in range(request.n)))

        job = _Job(ticket, computed, completions)
        most = self._limits.most_tokens(request, len(ids))
        return [_Part(job, number, ids, self._sampling(request, number, most)) for number in range(computed)]

    def _sampling(self, request: GenerateRequest, number: int, most: int) -> Any:
        """vLLM's form of a request for one text.

        Raises:
            UsageError: vLLM refuses a value.
        """
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        asked = request.sampling
        try:
            grammar = None
            if asked.json_schema is not None or asked.regex is not None:
                grammar = StructuredOutputsParams(json=asked.json_schema, regex=asked.regex)
            return SamplingParams(
                temperature=asked.temperature,
                top_p=asked.top_p,
                top_k=asked.top_k,
                min_p=asked.min_p,
                repetition_penalty=asked.repetition_penalty,
                presence_penalty=asked.presence_penalty,
                frequency_penalty=asked.frequency_penalty,
                logit_bias=dict(asked.logit_bias) or None,
                seed=_seed(asked.seed, number),
                stop=list(asked.stop),
                stop_token_ids=sorted(self._eos_ids),
                max_tokens=most,
                logprobs=asked.log_probabilities,
                structured_outputs=grammar,
                output_kind=RequestOutputKind.FINAL_ONLY if request.on_tokens is None else RequestOutputKind.CUMULATIVE,
            )
        except Exception as error:  # its class differs from version to version
            raise _refused(error) from None

    @cached_property
    def _eos_ids(self) -> frozenset[int]:
        from transformers import GenerationConfig

        checkpoint = self._checkpoint
        try:
            own = GenerationConfig.from_pretrained(checkpoint.source, revision=checkpoint.commit)
        except OSError:  # there is none
            own = None
        eos = self.tokenizer.eos_id
        return eos_ids(checkpoint.config, own) | (frozenset() if eos is None else {eos})

    def _completion(self, output: Any, request: GenerateRequest) -> Completion:
        ids = tuple(output.token_ids)
        stop = output.stop_reason if isinstance(output.stop_reason, str) else None
        reason: FinishReason = "length" if output.finish_reason == "length" else "unknown"
        if stop is not None:
            reason = "stop"
        elif ids and ids[-1] in self._eos_ids:
            reason = "eos"
        text = self.tokenizer.decode(ids)
        place = text.find(stop) if stop is not None else -1
        most = request.sampling.log_probabilities
        return Completion(
            text=text[:place] if place >= 0 else text,
            ids=ids,
            finish_reason=reason,
            stop=stop,
            log_probabilities=None
            if most is None
            else tuple(found[id].logprob for id, found in zip(ids, output.logprobs, strict=True)),
            likeliest=() if most is None else tuple(_likeliest(found, most) for found in output.logprobs),
        )

    def _add(self, engine: Any, part: _Part, running: dict[str, _Part]) -> None:
        job = part.job
        if job.over or job.ticket.cancelled:
            return
        name = str(self._asked)
        self._asked += 1
        try:
            engine.add_request(
                name,
                {"type": "token", "prompt_token_ids": list(part.prompt)},
                part.sampling,
                lora_request=self._adapter,
            )
        except Exception as error:
            if _is_dead(error):
                raise
            job.fail(_refused(error))
            return
        job.begin()
        running[name] = part

    def _drop_cancelled(self, engine: Any, running: dict[str, _Part]) -> None:
        names = [name for name, part in running.items() if part.job.over or part.job.ticket.cancelled]
        if names:
            engine.abort_request(names)
            for name in names:
                del running[name]


@dataclass(slots=True, eq=False)
class _Job:
    """A ticket, and the outputs that answer it."""

    ticket: Ticket
    parts: int
    convert: Callable[[Sequence[Any]], Result]
    outputs: dict[int, Any] = field(default_factory=dict)
    begun: bool = False
    over: bool = False

    def begin(self) -> None:
        if not self.begun:
            self.begun = True
            self.ticket.begin()

    def fail(self, error: Exception) -> None:
        if not self.over:
            self.over = True
            self.ticket.fail(error)

    def take(self, number: int, output: Any) -> None:
        self.outputs[number] = output
        if len(self.outputs) == self.parts and not self.over:
            self.over = True
            self.ticket.resolve(self.convert([self.outputs[number] for number in range(self.parts)]))


@dataclass(slots=True, eq=False)
class _Part:
    """One request of the engine: a sequence to score, or one of the texts of a prompt."""

    job: _Job
    number: int
    prompt: tuple[int, ...]
    sampling: Any
    told: int = 0
    """Tokens that `on_tokens` was called with."""


def _reason(error: Exception) -> str:
    """What an error says; pydantic's says it behind a heading."""
    told = error.errors() if hasattr(error, "errors") else []
    return str(told[0]["msg"]).splitlines()[0].rstrip(". ") if told else first_line(error)


def _refused(error: Exception) -> UsageError:
    return UsageError(f"vLLM refuses the request: {first_line(error)}.")


def _is_dead(error: BaseException) -> bool:
    """Whether the engine is gone, and with it every request."""
    return type(error).__name__ == "EngineDeadError"


def _hear(output: Any, running: dict[str, _Part]) -> None:
    """Pass on what the engine says of a request."""
    part = running.get(output.request_id)
    if part is None:
        return
    request = part.job.ticket.request
    if isinstance(request, GenerateRequest) and request.on_tokens is not None:
        new = list(output.outputs[0].token_ids)[part.told :]
        if new and not part.job.ticket.cancelled:
            part.told += len(new)
            request.on_tokens(part.number, new)
    if output.finished:
        del running[output.request_id]
        part.job.take(part.number, output)


def _likelihood(output: Any, ids: tuple[int, ...], start: int) -> Likelihood:
    """From the places of the prompt, and from the one token that was said behind it."""
    places = [output.prompt_logprobs[place] for place in range(start, len(ids) - 1)]
    places.append(output.outputs[0].logprobs[0])
    found = [place[id] for place, id in zip(places, ids[start:], strict=True)]
    return Likelihood(tuple(token.logprob for token in found), tuple(token.rank == 1 for token in found))


def _likeliest(place: Any, most: int) -> tuple[tuple[int, float], ...]:
    """The likeliest tokens at a place; the one that was drawn is among them only if it is one."""
    ranked = sorted(place.items(), key=lambda entry: entry[1].rank)
    return tuple((id, entry.logprob) for id, entry in ranked[:most])


def _seed(seed: int, number: int) -> int:
    """Of one text: a hash, since vLLM would give the texts of neighbouring seeds the same random stream."""
    digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
