"""A judge model whose answers are written down; it keeps what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evalharness.errors import EvalHarnessError
from evalharness.judging.base import Bench
from evalharness.judging.model import NOBODY, JudgeModel
from evalharness.prompting.options import PromptOptions
from evalharness.prompting.prompter import Prompter
from evalharness.types import (
    Attempt,
    BackendInfo,
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    Message,
    Reference,
    Request,
    Result,
    Sample,
)

Answer = str | EvalHarnessError | Mapping[str, float]
"""What is said, how the model fails, or the log-likelihood of each answer."""


@dataclass
class Says:
    """Answers a conversation by a list, in order, or by a function of its messages."""

    answers: Sequence[Answer] | Callable[[Sequence[Message]], Answer]
    asked: list[tuple[Message, ...]] = field(default_factory=list)

    async def ask(self, request: Request) -> Result:
        messages = (request.prompt if isinstance(request, GenerateRequest) else request.context).messages
        self.asked.append(messages)
        answer = self.answers(messages) if callable(self.answers) else self.answers[request.origin.call]
        if isinstance(answer, EvalHarnessError):
            raise answer
        if isinstance(request, GenerateRequest):
            assert isinstance(answer, str)
            return Completions((Completion(text=answer),))
        assert isinstance(answer, Mapping)
        return Likelihood((answer[request.continuation.strip()],), (False,))


def bench(asker: Says | None, row: Mapping[str, Any], *candidates: str, **reference: Any) -> Bench:
    """One attempt before a judge model that answers so."""
    info = BackendInfo(name="tester", kind="replay", accepts=frozenset({"messages"}), fingerprint="f")
    prompter = Prompter(PromptOptions(question=""), tokenizer=None, max_length=None, chat=True)
    model = JudgeModel(info=info, prompter=prompter, asker=asker, origin=NOBODY) if asker else None
    sample = Sample(id="1", index=0, row=row, content_hash="c")
    attempt = Attempt(calls=(), candidates=candidates)
    return Bench(task="own", sample=sample, reference=Reference(**reference), attempt=attempt, model=model)
