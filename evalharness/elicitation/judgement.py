"""The model under test as a judge of two texts, asked in both orders."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from evalharness.elicitation.base import Ask, Method
from evalharness.errors import DataError
from evalharness.options import Options
from evalharness.types import Attempt


class JudgementOptions(Options):
    """Options of pairwise_judgement."""

    first: str = "output_1"
    """Column of the text that `prompt.question` shows first."""
    second: str = "output_2"
    """Column of the other text; the second prompt shows the two exchanged."""


async def _pairwise_judgement(ask: Ask, options: JudgementOptions) -> Attempt:
    """Two candidates: what was said with the texts in their order, and with them exchanged."""
    row = ask.sample.row
    if missing := {options.first, options.second} - row.keys():
        raise DataError(f"sample {ask.sample.id}: the row has no column '{min(missing)}'; it has {', '.join(row)}.")
    exchanged = {**row, options.first: row[options.second], options.second: row[options.first]}
    prompts = [ask.prompt(), replace(ask, sample=replace(ask.sample, row=exchanged)).prompt()]
    answers = await asyncio.gather(*(ask.generate(prompt) for prompt in prompts))
    return Attempt(calls=tuple(ask.calls), candidates=tuple(said.text for (said,) in answers))


pairwise_judgement = Method(
    name="pairwise_judgement", run=_pairwise_judgement, needs="target", options=JudgementOptions
)
