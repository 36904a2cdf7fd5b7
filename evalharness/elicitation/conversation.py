"""Conversations of several turns: every answer of the model is a candidate of its own."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from evalharness.elicitation.base import Ask, Method
from evalharness.errors import DataError
from evalharness.options import Options
from evalharness.types import Attempt, Message


class ConversationOptions(Options):
    """Options of conversation."""

    turns: str = "turns"
    """Name of the fact (section `facts`) that lists what the user says by turn; the first one is `prompt.question`."""
    temperature_by: str | None = None
    """Name of a fact whose value decides the temperature; the task's own, unless given."""
    temperatures: dict[str, float] = Field(default_factory=dict)
    """Temperatures by that value; the task's own for the others."""


async def _conversation(ask: Ask, options: ConversationOptions) -> Attempt:
    """Ask the first turn, then each further one after what the model said to those before it."""
    turns = ask.reference.facts.get(options.turns)
    if not isinstance(turns, list | tuple) or not turns or not all(isinstance(turn, str) for turn in turns):
        raise DataError(
            f"sample {ask.sample.id}: a conversation needs the fact '{options.turns}', a list of the user's turns, not "
            f"{turns!r:.80}; give it in the task's section facts."
        )
    kind = ask.reference.facts.get(options.temperature_by) if options.temperature_by else None
    temperature = options.temperatures.get(str(kind), ask.sampling.temperature)
    sampling = replace(ask.sampling, temperature=temperature)
    prompt = ask.prompt()
    said: list[str] = []
    for turn in turns[1:]:
        (answer,) = await ask.generate(prompt, sampling=sampling, continues=True)
        said.append(answer.text)
        messages = (*prompt.messages, Message("assistant", answer.text), Message("user", turn))
        prompt = ask.prompter.prompt(messages, reserve=sampling.max_tokens)
    (answer,) = await ask.generate(prompt, sampling=sampling)
    return Attempt(calls=tuple(ask.calls), candidates=(*said, answer.text))


conversation = Method(name="conversation", run=_conversation, needs="target", options=ConversationOptions)
