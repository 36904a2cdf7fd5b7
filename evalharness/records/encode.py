"""A finished sample as one line of the journal, and a line as the attempts that re-scoring starts from.

Token ids and messages stay out of a line: it says what was sent as text, and how many tokens that was.
`sample.SampleRecord` describes every key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Protocol

from evalharness.types import (
    Attempt,
    Call,
    Completion,
    Likelihood,
    LoopStep,
    Parsed,
    Prompt,
    Reference,
    Sample,
    Sampling,
    Score,
    ToolSchema,
    ToolUse,
    Verdict,
)

FLAGS = ("unparsed", "truncated", "empty", "errored", "cut", "undecided")
"""In the order in which a line lists those that are set."""


class Scored(Protocol):
    """What one attempt is worth, as scoring hands it over."""

    @property
    def answer(self) -> Parsed | None: ...

    @property
    def votes(self) -> Mapping[str, int]: ...

    @property
    def scores(self) -> Mapping[str, Score]: ...


def sample_line(
    *,
    task: str,
    sample: Sample,
    reference: Reference,
    attempts: Sequence[Attempt],
    scoreds: Sequence[Scored],
    reduced: Mapping[str, Score],
    flags: Collection[str],
    error: str | None = None,
    explained: Collection[str] = (),
) -> dict[str, Any]:
    """The journal line of one sample, as plain JSON.

    Args:
        attempts: one a repeat; none where the sample failed before it had any.
        scoreds: their worth, in the same order.
        reduced: the repeats' scores as one.
        error: why the sample failed.
        explained: the metrics whose explanations are worth keeping.
    """
    first = attempts[0].likelihoods if attempts else ()
    line: dict[str, Any] = {"task": task, "id": sample.id, "index": sample.index}
    if sample.subset is not None:
        line["subset"] = sample.subset
    line["content_hash"] = sample.content_hash
    if sample.cluster is not None:
        line["cluster"] = sample.cluster
    line.update(_reference(reference))
    line["completions"] = [
        completion.text for attempt in attempts for call in attempt.calls for completion in call.completions
    ]
    line["log_likelihoods"] = [likelihood.total for likelihood in first]
    line["greedy"] = [likelihood.is_greedy if likelihood.greedy else None for likelihood in first]
    line["answer"] = _answer(scoreds)
    line["scores"] = {label: score.value for label, score in reduced.items()}
    if weights := {label: score.weight for label, score in reduced.items() if score.weight != 1}:
        line["weights"] = weights
    if parts := {label: list(score.parts) for label, score in reduced.items() if score.parts}:
        line["parts"] = parts
    line["flags"] = [flag for flag in FLAGS if flag in flags]
    if error is not None:
        line["error"] = error
    line["repeats"] = [_repeat(attempt, scored, explained) for attempt, scored in zip(attempts, scoreds, strict=True)]
    return line


def attempts_of(line: Mapping[str, Any]) -> list[Attempt]:
    """The attempts that a line keeps, one a repeat; their prompts without messages and ids."""
    return [_attempt_of(repeat) for repeat in line["repeats"]]


def reference_of(line: Mapping[str, Any]) -> Reference:
    """What scoring needs to know of the sample."""
    target = line["target"]
    return Reference(
        target=tuple(target) if isinstance(target, list) else target,
        choices=tuple(line.get("choices", ())),
        units=line.get("units", {}),
        facts=line.get("facts", {}),
        order=tuple(line.get("order", ())),
    )


# --------------------------------------------------------------------------- to JSON


def _reference(reference: Reference) -> dict[str, Any]:
    target = reference.target
    encoded: dict[str, Any] = {"target": list(target) if isinstance(target, tuple) else target}
    if reference.choices:
        encoded["choices"] = list(reference.choices)
    if reference.units:
        encoded["units"] = dict(reference.units)
    if reference.facts:
        encoded["facts"] = dict(reference.facts)
    if reference.order:
        encoded["order"] = list(reference.order)
    return encoded


def _answer(scoreds: Sequence[Scored]) -> str | None:
    """What most repeats answered; of tied answers the one given first."""
    values = [scored.answer.value for scored in scoreds if scored.answer and scored.answer.value is not None]
    return Counter(values).most_common(1)[0][0] if values else None


def _repeat(attempt: Attempt, scored: Scored, explained: Collection[str]) -> dict[str, Any]:
    encoded: dict[str, Any] = {}
    if scored.answer is not None:
        encoded["answer"] = scored.answer.value
        if scored.answer.why is not None:
            encoded["why"] = scored.answer.why
        if scored.answer.span is not None:
            encoded["span"] = list(scored.answer.span)
    if len(attempt.candidates) > 1:
        encoded["votes"] = dict(scored.votes)
    encoded["scores"] = {label: score.value for label, score in scored.scores.items()}
    if explained and (told := _explanations(scored.scores, explained)):
        encoded["explanations"] = told
    if attempt.candidates != _last_texts(attempt.calls):
        encoded["candidates"] = list(attempt.candidates)
    if attempt.likelihoods != _last_likelihoods(attempt.calls):
        encoded.update(_likelihoods(attempt.likelihoods))
    if attempt.verdicts:
        encoded["verdicts"] = [_verdict(verdict) for verdict in attempt.verdicts]
    if attempt.tool_uses:
        encoded["tool_uses"] = [_tool_use(use) for use in attempt.tool_uses]
    if attempt.steps:
        encoded["steps"] = [_step(step) for step in attempt.steps]
    encoded["calls"] = [_call(call) for call in attempt.calls]
    return encoded


def _explanations(scores: Mapping[str, Score], explained: Collection[str]) -> dict[str, str]:
    return {
        label: score.explanation
        for label, score in scores.items()
        if label in explained and score.explanation is not None
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    encoded: dict[str, Any] = {"judge": verdict.judge, "candidate": verdict.candidate, "label": verdict.label}
    if verdict.explanation is not None:
        encoded["explanation"] = verdict.explanation
    if verdict.details:
        encoded["details"] = dict(verdict.details)
    return encoded


def _tool_use(use: ToolUse) -> dict[str, Any]:
    encoded: dict[str, Any] = {"tool": use.tool, "arguments": dict(use.arguments), "result": use.result}
    if use.status != "ok":
        encoded["status"] = use.status
    if use.details:
        encoded["details"] = dict(use.details)
    if use.step is not None:
        encoded["step"] = use.step
    return encoded


def _step(step: LoopStep) -> dict[str, Any]:
    encoded: dict[str, Any] = {"thought": step.thought, "action": step.action}
    if step.observation is not None:
        encoded["observation"] = step.observation
    if step.status != "ok":
        encoded["status"] = step.status
    if step.again is not None:
        encoded["again"] = step.again
    return encoded


def _call(call: Call) -> dict[str, Any]:
    encoded: dict[str, Any] = {"prompt": call.prompt.text}
    if call.prompt.ids is not None:
        encoded["tokens"] = len(call.prompt.ids)
    if call.prompt.cut:
        encoded["cut"] = call.prompt.cut
    if call.prompt.tools:
        encoded["tools"] = [asdict(tool) for tool in call.prompt.tools]
    if call.sampling is not None:
        encoded["sampling"] = _sampling(call.sampling)
    if call.completions:
        encoded["completions"] = [encode_completion(completion) for completion in call.completions]
    if call.continuations:
        encoded["continuations"] = list(call.continuations)
    if call.likelihoods:
        encoded.update(_likelihoods(call.likelihoods))
    return encoded


_ALWAYS = frozenset({"max_tokens", "temperature", "top_p", "top_k", "stop", "seed"})
"""Of how a completion was drawn: what is recorded even where it changes nothing."""


def _sampling(sampling: Sampling) -> dict[str, Any]:
    later = {
        field.name: getattr(sampling, field.name)
        for field in fields(Sampling)
        if field.name not in _ALWAYS and getattr(sampling, field.name) != field.default
    }
    return {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "stop": list(sampling.stop),
        "seed": sampling.seed,
        **later,
    }


def encode_completion(completion: Completion) -> dict[str, Any]:
    """A completion as a call keeps it; its token ids are counted, not kept."""
    encoded: dict[str, Any] = {"text": completion.text, "finish_reason": completion.finish_reason}
    if completion.stop is not None:
        encoded["stop"] = completion.stop
    if completion.ids:
        encoded["tokens"] = len(completion.ids)
    if completion.log_probabilities is not None:
        encoded["log_probabilities"] = list(completion.log_probabilities)
    if completion.likeliest:
        encoded["likeliest"] = [[list(pair) for pair in place] for place in completion.likeliest]
    if completion.reasoning is not None:
        encoded["reasoning"] = completion.reasoning
    if completion.tool_calls:
        encoded["tool_calls"] = [dict(call) for call in completion.tool_calls]
    if completion.usage:
        encoded["usage"] = dict(completion.usage)
    if completion.seconds is not None:
        encoded["seconds"] = round(completion.seconds, 3)
    return encoded


def _likelihoods(likelihoods: Sequence[Likelihood]) -> dict[str, Any]:
    return {
        "log_likelihoods": [list(likelihood.log_likelihoods) for likelihood in likelihoods],
        "greedy": [list(likelihood.greedy) for likelihood in likelihoods],
    }


def _last_texts(calls: Sequence[Call]) -> tuple[str, ...]:
    return tuple(completion.text for completion in calls[-1].completions) if calls else ()


def _last_likelihoods(calls: Sequence[Call]) -> tuple[Likelihood, ...]:
    return calls[-1].likelihoods if calls else ()


# --------------------------------------------------------------------------- from JSON


def _attempt_of(repeat: Mapping[str, Any]) -> Attempt:
    calls = tuple(_call_of(call) for call in repeat["calls"])
    return Attempt(
        calls=calls,
        candidates=tuple(repeat["candidates"]) if "candidates" in repeat else _last_texts(calls),
        likelihoods=_likelihoods_of(repeat) if "log_likelihoods" in repeat else _last_likelihoods(calls),
        tool_uses=tuple(ToolUse(**use) for use in repeat.get("tool_uses", ())),
        steps=tuple(LoopStep(**step) for step in repeat.get("steps", ())),
        verdicts=tuple(Verdict(**verdict) for verdict in repeat.get("verdicts", ())),
    )


def _call_of(call: Mapping[str, Any]) -> Call:
    sampling = call.get("sampling")
    return Call(
        prompt=Prompt(
            messages=(),
            text=call["prompt"],
            cut=call.get("cut", 0),
            tools=tuple(ToolSchema(**tool) for tool in call.get("tools", ())),
        ),
        sampling=None if sampling is None else _sampling_of(sampling),
        completions=tuple(completion_of(completion) for completion in call.get("completions", ())),
        continuations=tuple(call.get("continuations", ())),
        likelihoods=_likelihoods_of(call),
    )


def _sampling_of(encoded: Mapping[str, Any]) -> Sampling:
    bias = tuple((int(id), float(value)) for id, value in encoded.get("logit_bias", ()))
    return Sampling(**{**encoded, "stop": tuple(encoded["stop"]), "logit_bias": bias})


def completion_of(completion: Mapping[str, Any]) -> Completion:
    """A completion from how a call keeps it; its token ids are there only where someone added them."""
    log_probabilities = completion.get("log_probabilities")
    return Completion(
        text=completion["text"],
        ids=tuple(completion.get("ids", ())),
        finish_reason=completion.get("finish_reason", "unknown"),
        stop=completion.get("stop"),
        log_probabilities=None if log_probabilities is None else tuple(log_probabilities),
        likeliest=tuple(tuple((id, value) for id, value in place) for place in completion.get("likeliest", ())),
        reasoning=completion.get("reasoning"),
        tool_calls=tuple(completion.get("tool_calls", ())),
        usage=completion.get("usage", {}),
        seconds=completion.get("seconds"),
    )


def _likelihoods_of(encoded: Mapping[str, Any]) -> tuple[Likelihood, ...]:
    return tuple(
        Likelihood(tuple(values), tuple(greedy))
        for values, greedy in zip(encoded.get("log_likelihoods", ()), encoded.get("greedy", ()), strict=True)
    )
