"""A method that draws further texts for the same prompt, so that an answer can be checked against them."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from evalharness.elicitation.base import Ask, Method
from evalharness.errors import DataError
from evalharness.options import Options
from evalharness.types import Attempt

PASSAGE = "passage"
"""The fact that gives a text to check in place of an answer of the model."""


class SelfCheckOptions(Options):
    """Options of self_check."""

    samples: int = Field(default=20, ge=1)
    """Texts drawn beside the answer; 20 in the paper."""
    temperature: float = Field(default=1.0, gt=0.0)
    """Of the draws."""


async def _self_check(ask: Ask, options: SelfCheckOptions) -> Attempt:
    """SelfCheckGPT (Manakul et al. 2023, arXiv:2303.08896): one answer by the task's `decode`, then `samples` draws.

    Where the task's facts say a `passage`, that is the candidate, and only the draws are made. What agrees with what is
    the judges' matter (`judging.self_check`).

    Raises:
        DataError: the passage is no text.
    """
    prompt = ask.prompt()
    passage = ask.reference.facts.get(PASSAGE)
    if passage is None:
        (answer,) = await ask.generate(prompt)
        passage = answer.text
    elif not isinstance(passage, str):
        raise DataError(f"{ask.task}: facts.{PASSAGE}: the text to check must be a text, not {passage!r:.60}.")
    await ask.generate(prompt, n=options.samples, sampling=replace(ask.sampling, temperature=options.temperature))
    return Attempt(calls=tuple(ask.calls), candidates=(passage,))


self_check = Method(name="self_check", run=_self_check, needs="target", options=SelfCheckOptions)
