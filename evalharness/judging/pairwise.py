"""Two candidates side by side: which does the judge model prefer? Always asked in both orders."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import model_validator

from evalharness.elicitation.base import Executor
from evalharness.errors import DataError, UsageError
from evalharness.hashing import canonical_json, sha256_text
from evalharness.judging.asking import ERROR, UNPARSED, Asked, failure, shares, special_tokens
from evalharness.judging.base import Bench
from evalharness.judging.orders import facts_of, outcome, together
from evalharness.judging.prompted import Prompted
from evalharness.judging.prompts import judge_prompt
from evalharness.prompting.templates import Expression, Template
from evalharness.records.encode import attempts_of
from evalharness.records.folder import Run
from evalharness.types import Attempt, Reference, Sample, Verdict

ORDERS = (True, False)
"""Whether the candidate is shown first, in the order in which the judge is asked."""


class Pairwise(Prompted):
    """Each candidate against the other side's answer, shown in both orders: ``win``, ``loss``, ``tie``,
    ``inconsistent`` where the two orders disagree, or ``unparsed`` where one of them says nothing.

    The other side is a column (`other`) or the outputs of another run on the same samples (`against`). With
    `probabilities` nothing is generated: an order prefers the side that the judge model finds likelier, and
    ``preference`` is the mean over both orders of the candidate's probability (AlpacaEval 2's weights).
    """

    templated: ClassVar[tuple[str, ...]] = (*Prompted.templated, "other", "against")
    compares: ClassVar[bool] = True

    judge: str = "pairwise"
    prompt: str = "pair-v2"
    questions: str = "{{ [question] }}"
    other: str | None = None
    """Expression: the other side's answers, a list with a text for each turn."""
    against: str | None = None
    """In place of `other`: the folder of a run of the same task, whose outputs are the other side. A task may leave it
    to the user: ``--set judging.pairwise.against=runs/NAME``."""
    probabilities: bool = False
    """Compare the log-likelihoods of the two verdicts (of each one's first spelling) in place of asking for a text."""
    max_tokens: int = 2048

    @model_validator(mode="after")
    def _one_other_side(self) -> Self:
        if self.other is not None and self.against is not None:
            raise ValueError("a pair has one other side; give other (an expression) or against (a run's folder).")
        return self

    @cached_property
    def _other(self) -> Expression | None:
        return Expression(self.other, f"{self._where}.other") if self.other else None

    @property
    def templates(self) -> Sequence[Template | Expression]:
        return [*super().templates, *([self._other] if self._other else [])]

    @property
    def verbs(self) -> frozenset[str]:
        return frozenset({"score" if self.probabilities else "generate"})

    @cached_property
    def _run(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """By task and sample the other run's candidates, of its first repeat.

        Raises:
            UsageError: no run is named.
            DataError: there is no such run, or its journal is damaged.
        """
        if self.against is None:
            raise UsageError(
                f"{self._where}: a pair needs its other side; name the run whose outputs it is with --set "
                f"judging.{self.judge}.against=runs/NAME."
            )
        run = Run(Path(self.against).expanduser())
        if not run.journal.is_file():
            raise DataError(f"{self._where}.against: {run.path} is no run; name a folder that holds samples.jsonl.")
        lines = (line for line in run.lines() if not line.get("error"))
        return {(_stem(line["task"]), str(line["id"])): attempts_of(line)[0].candidates for line in lines}

    @cached_property
    def _fingerprint(self) -> str:
        return sha256_text(canonical_json(sorted([*key, list(texts)] for key, texts in self._run.items())))

    def others(self, task: str, sample: Sample) -> list[str]:
        """The other side's answers to a sample of a task.

        Raises:
            UsageError: neither is given.
            DataError: the other run has none, or the expression yields something else.
        """
        if self._other is None:
            if (key := (_stem(task), sample.id)) not in self._run:
                raise DataError(
                    f"{self._where}.against: {self.against} has no output for the sample {sample.id} of {key[0]}; let "
                    "both runs ask the same samples."
                )
            return [text.strip() for text in self._run[key]]
        texts = self._other({"subset": sample.subset, **sample.row})
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            raise DataError(f"{self._other.where}: this field must yield a list of texts, not {texts!r:.80}.")
        return list(texts)

    def shown(self, sample: Sample, answer: str) -> dict[str, Any]:
        # Written rows are in no run: its outputs are named by their hash, and placeholders are shown.
        others = self.others("", sample) if self._other else ["...", "..."]
        shown = self.rendered(sample, {"first": [answer, answer], "second": others})
        return {**shown, **({"against": self._fingerprint} if self.against else {})}

    async def prepare(self, task: str, sandbox: Executor | None) -> None:
        if self._other is None:
            await asyncio.to_thread(lambda: self._run)

    async def verdicts(self, bench: Bench) -> tuple[Verdict, ...]:
        answers, others = [parsed.value or "" for parsed in bench.answers()], self.others(bench.task, bench.sample)
        if len(others) != len(answers):
            raise DataError(
                f"{self._where}: sample {bench.sample.id} has {len(answers)} answers here and {len(others)} on the "
                "other side; a pair has as many turns on both."
            )
        turns = range(len(answers))
        return tuple(await asyncio.gather(*(self._verdict(bench, turn, answers, others) for turn in turns)))

    async def _verdict(self, bench: Bench, turn: int, answers: Sequence[str], others: Sequence[str]) -> Verdict:
        asked = await asyncio.gather(
            *(
                self._asked(bench, turn, (answers, others) if candidate_first else (others, answers), 2 * turn + number)
                for number, candidate_first in enumerate(ORDERS)
            )
        )
        sides = ("candidate", "other")
        shown = [{"first": side, **each} for side, each in zip(sides, asked, strict=True)]
        lengths = {"lengths": [len(answers[turn]), len(others[turn])]}
        verdict = self.verdict(bench, turn, shown)
        return Verdict(
            judge=verdict.judge,
            candidate=turn,
            label=verdict.label,
            explanation=verdict.explanation,
            details={**verdict.details, **lengths},
        )

    async def _asked(self, bench: Bench, turn: int, sides: tuple[Sequence[str], Sequence[str]], call: int) -> Asked:
        first, second = sides
        name, messages = self.put(bench.sample, turn, {"first": first, "second": second}, special_tokens(bench.model))
        if not self.probabilities:
            return {"template": name, **await self.ask(bench, messages, call)}
        labels = judge_prompt(name).labels
        spelled = [labels["first"][0], labels["second"][0]]
        return {"template": name, **await self.weigh(bench, messages, spelled, call)}

    def read(self, asked: Sequence[Asked]) -> tuple[str, str | None, Mapping[str, Any]]:
        if (why := failure(asked)) is not None:
            return ERROR, why, {}
        if all("log_likelihoods" in each for each in asked):
            preferences = [_of_candidate(each) for each in asked]
            outcomes = ["tie" if share == 0.5 else "win" if share > 0.5 else "loss" for share in preferences]
            return together(outcomes), None, facts_of(outcomes, preferences)
        found = [self.parsed(each) for each in asked]
        read = [
            outcome(side, candidate_first=each["first"] == "candidate")
            for (side, _), each in zip(found, asked, strict=True)
        ]
        label = together(read)
        why = "; ".join(
            f"{each['first']} first: {why}" for (side, why), each in zip(found, asked, strict=True) if side is None
        )
        return label, why if label == UNPARSED else None, facts_of(read)

    def read_again(self, verdict: Verdict, reference: Reference, attempt: Attempt) -> Verdict:
        again = self.again(verdict)
        return Verdict(
            judge=again.judge,
            candidate=again.candidate,
            label=again.label,
            explanation=again.explanation,
            details={**again.details, "lengths": verdict.details["lengths"]},
        )


def _stem(task: str) -> str:
    """A task's name without the subset: a run of one subset has the same samples."""
    return task.partition("/")[0]


def _of_candidate(asked: Asked) -> float:
    """The probability of the candidate's verdict, given that it is one of the two."""
    labels = judge_prompt(asked["template"]).labels
    share_of_first = shares(asked["log_likelihoods"])[labels["first"][0]]
    return share_of_first if asked["first"] == "candidate" else 1 - share_of_first
