"""A line of the journal as the steps that a person reads: each repeat, each call, what was said and what was read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalharness.pages.controls import visible
from evalharness.records.evidence import (
    Block,
    Evidence,
    explanations_of,
    indented,
    steps_of,
    tool_uses_of,
    verdicts_of,
)
from evalharness.records.expected_calls import Calls, answer_text, calls_of, target_text
from evalharness.viewer.word_diff import Pieces


@dataclass(frozen=True, slots=True)
class Said:
    """A generated text."""

    title: str
    pieces: Pieces
    """The answer that was parsed is the marked one."""
    facts: str
    """How it ended, how long it is."""
    reasoning: str = ""
    tool_calls: str = ""

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.pieces)


@dataclass(frozen=True, slots=True)
class Continuation:
    """A text whose likelihood was asked for."""

    text: str
    total: float | None
    """Log-likelihood in nats."""
    tokens: list[float]
    """Of each token."""
    greedy: str


@dataclass(frozen=True, slots=True)
class Step:
    """One call."""

    title: str
    prompt: str
    repeats_prompt: bool
    """Whether the prompt is the one of the call before."""
    facts: str
    sampling: list[tuple[str, str]]
    said: list[Said]
    continuations: list[Continuation]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The sample, elicited and scored once."""

    title: str
    steps: list[Step]
    candidates: list[Said]
    """The texts that were parsed, where they are not those of the last call."""
    answer: str | None
    program: Block | None
    """The answer, where it has several lines; `answer` is None then."""
    why: str | None
    votes: list[tuple[str, int]]
    scores: list[tuple[str, float]]
    loop: list[Evidence]
    """Thoughts, actions and observations, where the method loops."""
    tool_uses: list[Evidence]
    verdicts: list[Evidence]
    calls: Calls | None
    """Function calls beside the expected ones, where those are the answer."""
    explanations: dict[str, str]
    """By metric."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the texts between which the answer was chosen."""

    text: str
    total: float
    """Log-likelihood in nats."""
    per_character: float | None
    greedy: str
    right: bool
    likeliest: bool


def transcript(line: Mapping[str, Any]) -> list[Repeat]:
    """The repeats of a sample."""
    repeats = line.get("repeats") or []
    return [_repeat(line, repeat, number, len(repeats)) for number, repeat in enumerate(repeats, 1)]


def target_of(line: Mapping[str, Any]) -> str:
    """The right answer as text; of several, all."""
    target, choices = line.get("target"), line.get("choices") or ()
    if target is None:
        return ""
    if (calls := target_text(target)) is not None:
        return visible(calls)
    several = target if isinstance(target, list) else [target]
    texts = (
        str(choices[each]) if isinstance(each, int) and 0 <= each < len(choices) else str(each) for each in several
    )
    return visible(" | ".join(texts))


def answer_of(line: Mapping[str, Any]) -> str | None:
    """What was answered, as a person writes it; of a program the first line."""
    answer = answer_text(line.get("answer"))
    if answer is None or "\n" not in answer.strip():
        return answer
    first, *others = answer.strip().splitlines()
    return f"{first} … ({len(others) + 1} lines)"


def choices_of(line: Mapping[str, Any]) -> list[Choice]:
    """The choices with what the first repeat found; none where the lengths do not agree."""
    texts, totals = line.get("choices") or [], [float(value) for value in line.get("log_likelihoods") or ()]
    if not texts or len(texts) != len(totals):
        return []
    target, greedy = line.get("target"), line.get("greedy") or []
    right = target if isinstance(target, list) else [target]
    best = max(range(len(totals)), key=lambda place: totals[place])
    return [
        Choice(
            text=str(text),
            total=total,
            per_character=total / len(text) if text else None,
            greedy=_GREEDY.get(greedy[place] if place < len(greedy) else None, ""),
            right=place in right,
            likeliest=place == best,
        )
        for place, (text, total) in enumerate(zip(texts, totals, strict=True))
    ]


def scores_of(scores: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [(name, float(value)) for name, value in scores.items() if value is not None]


def beginning(line: Mapping[str, Any], most: int = 120) -> str:
    """The first text that was said, in a line's length."""
    said = next(iter(line.get("completions") or ()), "")
    text = visible(" ".join(str(said)[: 4 * most].split()))
    return text if len(text) <= most else f"{text[:most]}…"


# --------------------------------------------------------------------------- the parts

_GREEDY = {True: "yes", False: "no", None: ""}


def _repeat(line: Mapping[str, Any], repeat: Mapping[str, Any], number: int, of: int) -> Repeat:
    calls, candidates = repeat.get("calls") or [], repeat.get("candidates") or []
    span = repeat.get("span")
    answer, verdicts = answer_text(repeat.get("answer")), verdicts_of(repeat)
    program = _program(answer, verdicts) if answer is not None and "\n" in answer.strip() else None
    steps = []
    for place, call in enumerate(calls, 1):
        before = calls[place - 2].get("prompt") if place > 1 else None
        alone = place == len(calls) and not candidates and len(call.get("completions") or ()) == 1
        steps.append(_step(call, place, len(calls), before, span if alone else None))
    return Repeat(
        title=f"Repeat {number} of {of}" if of > 1 else "",
        steps=steps,
        candidates=[
            Said(_titled("Text that was parsed", place, len(candidates)),
                 _marked(text, span if len(candidates) == 1 else None), "")
            for place, text in enumerate(candidates, 1)
        ],
        answer=None if program else answer,
        program=program,
        why=repeat.get("why"),
        votes=list((repeat.get("votes") or {}).items()),
        scores=scores_of(repeat.get("scores") or {}),
        loop=steps_of(repeat),
        tool_uses=tool_uses_of(repeat),
        verdicts=verdicts,
        calls=calls_of(line, repeat),
        explanations=explanations_of(repeat),
    )  # fmt: skip


def _program(answer: str, verdicts: Sequence[Evidence]) -> Block:
    executed = any(block.language == "python" for verdict in verdicts for block in verdict.blocks)
    return Block("Answer read", answer, "python" if executed else "text")


def _step(call: Mapping[str, Any], number: int, of: int, before: str | None, span: Sequence[int] | None) -> Step:
    prompt = str(call.get("prompt") or "")
    facts = [_tokens(call["tokens"])] if call.get("tokens") is not None else []
    if call.get("cut"):
        facts.append(f"{_tokens(call['cut'])} cut from its left")
    completions = call.get("completions") or []
    return Step(
        title=_titled("Call", number, of) if of > 1 else "",
        prompt=prompt,
        repeats_prompt=prompt == before,
        facts=", ".join(facts),
        sampling=[(key, _short(value)) for key, value in (call.get("sampling") or {}).items()],
        said=[_said(each, place, len(completions), span) for place, each in enumerate(completions, 1)],
        continuations=_continuations(call),
    )


def _said(completion: Mapping[str, Any], number: int, of: int, span: Sequence[int] | None) -> Said:
    facts = [f"ended by {completion['finish_reason']}"] if completion.get("finish_reason") else []
    if completion.get("stop"):
        facts[-1:] = [f"{' '.join(facts)} {completion['stop']!r}".strip()]
    if completion.get("tokens") is not None:
        facts.append(_tokens(completion["tokens"]))
    if log_probabilities := completion.get("log_probabilities"):
        facts.append(f"log-probability {sum(map(float, log_probabilities)):.4g} nats")
    calls = completion.get("tool_calls")
    return Said(
        title=_titled("Completion", number, of),
        pieces=_marked(str(completion.get("text", "")), span),
        facts=", ".join(facts),
        reasoning=str(completion.get("reasoning") or ""),
        tool_calls=indented(calls) if calls else "",
    )


def _continuations(call: Mapping[str, Any]) -> list[Continuation]:
    by_token, greedy = call.get("log_likelihoods") or [], call.get("greedy") or []
    found = []
    for place, text in enumerate(call.get("continuations") or ()):
        tokens = [float(value) for value in by_token[place]] if place < len(by_token) else []
        sure = greedy[place] if place < len(greedy) else []
        found.append(
            Continuation(str(text), sum(tokens) if tokens else None, tokens, _GREEDY[all(sure)] if sure else "")
        )
    return found


def _titled(what: str, number: int, of: int) -> str:
    return f"{what} {number} of {of}" if of > 1 else what


def _tokens(n: int) -> str:
    return "1 token" if n == 1 else f"{n} tokens"


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _marked(text: str, span: Sequence[int] | None) -> Pieces:
    start, end = span or (0, 0)
    return [piece for piece in ((text[:start], False), (text[start:end], True), (text[end:], False)) if piece[0]]
