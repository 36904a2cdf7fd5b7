"""What a method is, and what it may ask of a model about its one sample."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from pydantic import Field

from evalharness.options import Options
from evalharness.prompting.prompter import Prompter, Renderer
from evalharness.sandbox.outcome import Limits, Outcome
from evalharness.tools.python import Sessions
from evalharness.tools.search import Searchable
from evalharness.types import (
    Attempt,
    Call,
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    Origin,
    Prompt,
    Reference,
    Request,
    Result,
    Sample,
    Sampling,
    ScoreRequest,
)

Needs = Literal["target", "choices", "continuation", "document"]


class Asker(Protocol):
    """Where requests go: the waves of a backend, or what stands before them."""

    async def ask(self, request: Request) -> Result: ...


class Executor(Sessions, Protocol):
    """Where programs are executed: a pool of the sandbox's boxes (`sandbox.pool.Pool`), or what stands in for it in a
    dry run."""

    async def run(self, source: str, *, stdin: str = "", limits: Limits = ...) -> Outcome:
        """A whole program."""
        ...

    async def test(
        self,
        source: str,
        *,
        tests: str,
        calls: Sequence[str],
        setup: str = "",
        in_box: bool = False,
        limits: Limits = ...,
        reference: str | None = None,
    ) -> Outcome:
        """A program's functions, called by tests in another box."""
        ...


class NoOptions(Options):
    """For methods that have none."""


class ToolOptions(Options):
    """Of methods that hand tools to the model; they add their own."""

    tools: tuple[str | dict[str, Any], ...] = Field(min_length=1)
    """Names, or mappings {tool: name, ...its options}: [calculator, {tool: python, seconds: 5}]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A way of eliciting: a coroutine with what it needs to know before it starts."""

    name: str
    run: Callable[[Ask, Any], Awaitable[Attempt]]
    needs: Needs
    """The section of the task that it works on; ``target`` for every method that generates."""
    version: int = 1
    """Raised when the same options would ask a model something else."""
    options: type[Options] = NoOptions
    demonstrations: Literal["none", "allowed", "required"] = "allowed"
    reasoned: bool = False
    """Whether demonstrations show a chain of thought."""
    scores: bool = False
    """Asks for log-likelihoods, never for text."""
    executes: bool = False
    """Runs programs, so that a run needs a sandbox, whatever its options say."""
    loops: bool = False
    """Brings back the steps of a loop; a demonstration shows all of them, and not an answer."""


@dataclass(slots=True, kw_only=True)
class Ask:
    """One sample, elicited once: the methods' window to prompts and to the model."""

    task: str
    sample: Sample
    reference: Reference
    demonstrations: Sequence[Sample]
    renderer: Renderer
    prompter: Prompter
    waves: Asker
    sampling: Sampling
    seed: int = 0
    repeat: int = 0
    sandbox: Executor | None = None
    """Where a task that executes programs does so; None for every other."""
    corpus: Searchable | None = None
    """What the task's tools search; None where none of them does."""
    calls: list[Call] = field(default_factory=list)
    _asked: int = 0

    def prompt(self, *, reasoned: bool = False, lead: str = "") -> Prompt:
        """The task's prompt for this sample: description, demonstrations, question.

        Args:
            reasoned: demonstrations show their chain of thought.
            lead: first words of the answer, put after the question.
        """
        return self._joined(reasoned, lead, reserve=self.sampling.max_tokens)

    def context(self, choice: str | None = None) -> Prompt:
        """The task's prompt where a continuation of it is scored: nothing is kept free for an answer.

        Args:
            choice: the one that the question holds, where the task puts its choices there.
        """
        return self._joined(False, "", reserve=0, choice=choice)

    def _joined(self, reasoned: bool, lead: str, *, reserve: int, choice: str | None = None) -> Prompt:
        turns = [self.renderer.demonstration(row, reasoned=reasoned) for row in self.demonstrations]
        question = self.renderer.last_question(self.sample, choice)
        if lead:
            question += self.prompter.options.delimiter + lead
        messages = self.prompter.messages(self.renderer.description(self.sample), turns, question)
        return self.prompter.prompt(messages, reserve=reserve)

    def extended(self, prompt: Prompt, said: str, then: str) -> Prompt:
        """The prompt, what the model said to it, and a further turn."""
        return self.prompter.extended(prompt, said, then, reserve=self.sampling.max_tokens)

    async def generate(
        self, prompt: Prompt, *, n: int = 1, sampling: Sampling | None = None, continues: bool = False
    ) -> tuple[Completion, ...]:
        """`n` completions of a prompt; the seed belongs to (seed, task, sample, repeat, call) and nothing else.

        Args:
            continues: a later prompt begins with this one and a completion of it.
        """
        origin = self._origin()
        sampling = replace(sampling or self.sampling, seed=self._request_seed(origin))
        result = await self.waves.ask(
            GenerateRequest(origin=origin, prompt=prompt, sampling=sampling, n=n, continues=continues)
        )
        assert isinstance(result, Completions)
        self.calls.append(Call(prompt=prompt, sampling=sampling, completions=result.completions))
        return result.completions

    async def score(self, context: Prompt, continuations: Sequence[str]) -> tuple[Likelihood, ...]:
        """Log-likelihoods of several continuations of one context, in their order."""
        requests, cuts = zip(*(self._scoring(context, text) for text in continuations), strict=True)
        likelihoods = await self._scored(requests)
        shown = tuple(request.continuation for request in requests)
        self.calls.append(Call(prompt=replace(context, cut=max(cuts)), continuations=shown, likelihoods=likelihoods))
        return likelihoods

    async def score_after(self, contexts: Sequence[Prompt], continuation: str) -> tuple[Likelihood, ...]:
        """Log-likelihoods of one continuation after each of several contexts, in their order."""
        requests, cuts = zip(*(self._scoring(context, continuation) for context in contexts), strict=True)
        likelihoods = await self._scored(requests)
        for request, cut, likelihood in zip(requests, cuts, likelihoods, strict=True):
            prompt = replace(request.context, cut=cut)
            self.calls.append(Call(prompt=prompt, continuations=(request.continuation,), likelihoods=(likelihood,)))
        return likelihoods

    def _scoring(self, context: Prompt, text: str) -> tuple[ScoreRequest, int]:
        """The request for one continuation, and how many tokens are cut from its context."""
        ids, start, cut = self.prompter.continuation(context, text)
        shown = self.prompter.delimited(text)
        return ScoreRequest(origin=self._origin(), context=context, continuation=shown, ids=ids, start=start), cut

    async def score_document(self, text: str) -> Likelihood:
        """Log-likelihood of every token of a document, over sliding windows cut here, above the backend."""
        prompt = Prompt(messages=(), text="")
        if self.prompter.tokenizer is None:
            windows: list[tuple[tuple[int, ...] | None, int]] = [(None, 1)]
        else:
            windows = list(self.prompter.windows(text))
        parts = await self._scored(
            [
                ScoreRequest(origin=self._origin(), context=prompt, continuation=text, ids=ids, start=start)
                for ids, start in windows
            ]
        )
        whole = Likelihood(
            tuple(value for part in parts for value in part.log_likelihoods),
            tuple(value for part in parts for value in part.greedy),
        )
        self.calls.append(Call(prompt=prompt, continuations=(text,), likelihoods=(whole,)))
        return whole

    async def _scored(self, requests: Sequence[ScoreRequest]) -> tuple[Likelihood, ...]:
        results = await asyncio.gather(*(self.waves.ask(request) for request in requests))
        return tuple(result for result in results if isinstance(result, Likelihood))

    def _origin(self) -> Origin:
        call = self._asked
        self._asked += 1
        return Origin(task=self.task, sample_id=self.sample.id, index=self.sample.index, repeat=self.repeat, call=call)

    def _request_seed(self, origin: Origin) -> int:
        key = f"{self.seed}\n{origin.task}\n{origin.sample_id}\n{origin.repeat}\n{origin.call}"
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big")
