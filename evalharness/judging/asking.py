"""Judges that ask a model: what they share. What a verdict keeps of each question lets it be read again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from pydantic import Field

from evalharness.errors import BudgetError, DiskError, EvalHarnessError, UsageError
from evalharness.hashing import canonical_json, sha256_text
from evalharness.judging.base import Bench, Judge
from evalharness.judging.model import JudgeModel
from evalharness.prompting.templates import Expression, Template
from evalharness.types import Message, Sample, Sampling, Verdict

UNPARSED, ERROR = "unparsed", "error"
"""Labels of what was said and gives no verdict, and of a judge that failed, which says nothing of the candidate."""

Asked = dict[str, Any]
"""A question to the judge model: ``prompt`` (a hash of its messages) and ``said``, or ``log_likelihoods`` by answer, or
``error``; further keys say what was asked."""


class Asking(Judge):
    """A judge that asks the run's judge model. A model that fails gives the label ``error``, and the run goes on."""

    asks: ClassVar[bool] = True

    max_tokens: int = Field(default=512, ge=1)
    """Longest answer of the judge model."""
    temperature: float = Field(default=0.0, ge=0.0)

    @cached_property
    def _texts(self) -> Mapping[str, Template]:
        """Its options that are templates and are given."""
        sources = {field: getattr(self, field) for field in self.templated}
        return {field: Template(text, f"{self._where}.{field}") for field, text in sources.items() if text is not None}

    @property
    def templates(self) -> Sequence[Template | Expression]:
        return list(self._texts.values())

    def faults(self, sample: Sample, answer: str) -> list[tuple[str, str]]:
        """Render what the judge model would be asked, which raises where a template fails."""
        _ = self.shown(sample, answer)
        return []

    async def ask(self, bench: Bench, messages: Sequence[Message], call: int) -> Asked:
        """One answer of the judge model.

        Raises:
            BudgetError, UsageError, DiskError: what ends a run.
        """
        sampling = Sampling(max_tokens=self.max_tokens, temperature=self.temperature)
        asked = _asked(messages)
        try:
            (completion,) = await _model(bench).generate(messages, call=call, sampling=sampling)
        except (BudgetError, UsageError, DiskError):
            raise
        except EvalHarnessError as error:
            return {**asked, "error": str(error)}
        ended = {"ended": completion.finish_reason} if completion.finish_reason == "length" else {}
        return {**asked, "said": completion.text, **ended}

    async def weigh(self, bench: Bench, messages: Sequence[Message], answers: Sequence[str], call: int) -> Asked:
        """How likely the judge model finds each of these answers.

        Raises:
            BudgetError, UsageError, DiskError: what ends a run.
        """
        asked = _asked(messages)
        try:
            likelihoods = await _model(bench).score(messages, answers, call=call)
        except (BudgetError, UsageError, DiskError):
            raise
        except EvalHarnessError as error:
            return {**asked, "error": str(error)}
        totals = dict(zip(answers, (likelihood.total for likelihood in likelihoods), strict=True))
        return {**asked, "log_likelihoods": totals}

    def verdict(self, bench: Bench, candidate: int, asked: Sequence[Asked]) -> Verdict:
        """The verdict on a candidate that these questions come to (`read`)."""
        label, explanation, details = self.read(asked)
        kept = {"model": _model(bench).info.name, "asked": list(asked), **details}
        return Verdict(judge=self.judge, candidate=candidate, label=label, explanation=explanation, details=kept)

    def read(self, asked: Sequence[Asked]) -> tuple[str, str | None, Mapping[str, Any]]:
        """Label, explanation and further details (the score, say) of what the judge model said. Pure.

        Raises:
            DataError: what was asked is not what this judge reads.
        """
        raise NotImplementedError

    def again(self, verdict: Verdict) -> Verdict:
        """A recorded verdict, read as today's options say."""
        label, explanation, details = self.read(verdict.details["asked"])
        kept = {"model": verdict.details["model"], "asked": verdict.details["asked"], **details}
        return Verdict(
            judge=verdict.judge, candidate=verdict.candidate, label=label, explanation=explanation, details=kept
        )


def failure(asked: Sequence[Asked]) -> str | None:
    """Why the judge model failed, where it did."""
    return next((str(each["error"]) for each in asked if "error" in each), None)


def shares(log_likelihoods: Mapping[str, float]) -> dict[str, float]:
    """``p_i / Σ p``: the probability of each answer given that it is one of them.

    Of answers that are all impossible none is likelier than another.
    """
    values = {answer: float(value) for answer, value in log_likelihoods.items()}  # a journal spells infinity as a text
    highest = max(values.values())
    if math.isinf(highest):
        return {answer: 1 / len(values) for answer in values}
    weights = {answer: math.exp(value - highest) for answer, value in values.items()}
    total = math.fsum(weights.values())
    return {answer: weight / total for answer, weight in weights.items()}


def conversation(system: str | None, user: str) -> tuple[Message, ...]:
    """What the judge model is asked: a system turn, where there is one, and the question."""
    return (*((Message("system", system),) if system else ()), Message("user", user))


def special_tokens(model: JudgeModel | None) -> tuple[str, ...]:
    """The judge model's own special tokens, as far as they are known."""
    tokenizer = model.prompter.tokenizer if model else None
    return tuple(str(token) for token in tokenizer.special_tokens.values()) if tokenizer else ()


def _asked(messages: Sequence[Message]) -> Asked:
    return {"prompt": sha256_text(canonical_json([[each.role, each.content] for each in messages]))[:12]}


def _model(bench: Bench) -> JudgeModel:
    if bench.model is None:
        raise UsageError(f"{bench.task} is judged by a model, and none is named; add --judge-model MODEL.")
    return bench.model
