"""Methods that let the model write its answer."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from evalharness.elicitation.base import Ask, Method, NoOptions
from evalharness.options import Options
from evalharness.types import Attempt


async def _ask_once(ask: Ask, *, reasoned: bool) -> Attempt:
    (completion,) = await ask.generate(ask.prompt(reasoned=reasoned))
    return Attempt(calls=tuple(ask.calls), candidates=(completion.text,))


async def _direct(ask: Ask, options: NoOptions) -> Attempt:
    return await _ask_once(ask, reasoned=False)


async def _chain_of_thought(ask: Ask, options: NoOptions) -> Attempt:
    return await _ask_once(ask, reasoned=True)


class ZeroShotOptions(Options):
    """Options of zero_shot_chain_of_thought."""

    trigger: str = "Let's think step by step."
    """What the answer begins with, so that the model reasons."""


async def _zero_shot_chain_of_thought(ask: Ask, options: ZeroShotOptions) -> Attempt:
    """Kojima et al. 2022, arXiv:2205.11916: reason first, then ask for the answer of that reasoning.

    The second prompt is the first one, the reasoning, and the task's `prompt.answer_trigger` on a new line.
    """
    question = ask.prompt(lead=options.trigger)
    (reasoning,) = await ask.generate(question, continues=True)
    trigger = "\n" + ask.prompter.options.answer_trigger
    (answer,) = await ask.generate(ask.extended(question, " " + reasoning.text.strip(), trigger))
    return Attempt(calls=tuple(ask.calls), candidates=(answer.text,))


class SelfConsistencyOptions(Options):
    """Options of self_consistency."""

    samples: int = Field(default=40, ge=1)
    """Chains of thought drawn for each sample; their answers vote."""
    temperature: float = Field(default=0.7, gt=0.0)
    """Of the draws; the task's `decode.temperature` does not count here."""
    top_k: int = Field(default=40, ge=0)
    """Of the draws; 0 keeps all tokens."""


async def _self_consistency(ask: Ask, options: SelfConsistencyOptions) -> Attempt:
    """Wang et al. 2022, arXiv:2203.11171: draw many chains of thought, take the answer that most of them reach.

    The vote itself is the parser's (`Parser.read`), so that re-scoring repeats it with no model.
    """
    sampling = replace(ask.sampling, temperature=options.temperature, top_k=options.top_k)
    chains = await ask.generate(ask.prompt(reasoned=True), n=options.samples, sampling=sampling)
    return Attempt(calls=tuple(ask.calls), candidates=tuple(chain.text for chain in chains))


direct = Method(name="direct", run=_direct, needs="target")
few_shot = Method(name="few_shot", run=_direct, needs="target", demonstrations="required")
chain_of_thought = Method(name="chain_of_thought", run=_chain_of_thought, needs="target", reasoned=True)
zero_shot_chain_of_thought = Method(
    name="zero_shot_chain_of_thought",
    run=_zero_shot_chain_of_thought,
    needs="target",
    options=ZeroShotOptions,
    demonstrations="none",
)
self_consistency = Method(
    name="self_consistency", run=_self_consistency, needs="target", options=SelfConsistencyOptions, reasoned=True
)
