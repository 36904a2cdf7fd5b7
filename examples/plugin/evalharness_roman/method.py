"""A method: ask twice, and believe only what is said both times."""

from __future__ import annotations

from evalharness.elicitation.base import Ask, Method, NoOptions
from evalharness.types import Attempt


async def _ask_twice(ask: Ask, options: NoOptions) -> Attempt:
    prompt = ask.prompt()
    (first,) = await ask.generate(prompt)
    (second,) = await ask.generate(prompt)
    believed = first.text if first.text.strip() == second.text.strip() else ""
    return Attempt(calls=tuple(ask.calls), candidates=(believed,))


ask_twice = Method(name="ask_twice", run=_ask_twice, needs="target")
