"""Conversations and pairs of answers, out of rows; what is wrong with a row is said with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evalharness.stack.adaptation.rows import Row
from evalharness.stack.errors import TrainingError

ROLES = ("system", "developer", "user", "assistant", "tool")
ANSWERS = "assistant"
"""The role whose messages are learned."""
SHAPES = "a row holds messages ([{role, content}, ...]), or prompt and completion"
PAIRS = "a row holds prompt, chosen and rejected"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said, one answer of the assistant among it at least."""

    where: str
    """Of its row."""
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Preference:
    """Two conversations that differ in their last answer."""

    where: str
    chosen: Conversation
    rejected: Conversation


def conversation(row: Row) -> Conversation:
    """A row's messages; a prompt and its completion are the user's and the assistant's unless they are messages.

    Raises:
        TrainingError: there are none; one has no role, an unknown one, or no text; an answer is empty or stands first;
            there is no answer.
    """
    values = {name: value for name, value in row.values.items() if value is not None}
    if "messages" in values:
        turns = _turns(values["messages"], row.where, "messages")
    elif {"prompt", "completion"} <= values.keys():
        turns = (*_said(values, "prompt", "user", row.where), *_said(values, "completion", ANSWERS, row.where))
    else:
        raise TrainingError(f"{row.where}: there is neither messages nor prompt and completion; {SHAPES}.")
    return _checked(row.where, turns)


def preference(row: Row) -> Preference:
    """A row's two conversations. `chosen` and `rejected` are texts, or messages with or without those of the prompt;
    where no prompt is given, it is what the two begin with alike.

    Raises:
        TrainingError: as `conversation`; the two are equal, or one is not a single answer to the prompt.
    """
    values = {name: value for name, value in row.values.items() if value is not None}
    if missing := [name for name in ("chosen", "rejected") if name not in values]:
        raise TrainingError(f"{row.where}: there is no {missing[0]}; {PAIRS}.")
    chosen, rejected = (_said(values, name, ANSWERS, row.where) for name in ("chosen", "rejected"))
    if chosen == rejected:
        raise TrainingError(f"{row.where}: chosen and rejected are equal, so nothing is preferred; leave the pair out.")
    if "prompt" in values:
        prompt = _said(values, "prompt", "user", row.where)
        chosen, rejected = (turns[len(prompt) :] if turns[: len(prompt)] == prompt else turns
                            for turns in (chosen, rejected))  # fmt: skip
    elif isinstance(values["chosen"], str) or isinstance(values["rejected"], str):
        raise TrainingError(f"{row.where}: there is no prompt; {PAIRS}.")
    else:
        alike = next((at for at, (one, other) in enumerate(zip(chosen, rejected, strict=False)) if one != other),
                     min(len(chosen), len(rejected)))  # fmt: skip
        prompt, chosen, rejected = chosen[:alike], chosen[alike:], rejected[alike:]
    for name, answer in (("chosen", chosen), ("rejected", rejected)):
        if [turn.role for turn in answer] != [ANSWERS]:
            raise TrainingError(
                f"{row.where}: {name} must be one answer of the assistant to the prompt, and is "
                f"{' and '.join(turn.role for turn in answer) or 'nothing'}."
            )
    both = [_checked(row.where, (*prompt, *answer)) for answer in (chosen, rejected)]
    return Preference(row.where, both[0], both[1])


def _said(values: dict[str, Any], name: str, role: str, where: str) -> tuple[Turn, ...]:
    """What a key holds: a text, which is said by `role`, or messages."""
    value = values[name]
    return (Turn(role, value),) if isinstance(value, str) else _turns(value, where, name)


def _turns(value: Any, where: str, name: str) -> tuple[Turn, ...]:
    if not isinstance(value, list) or not value:
        what = "an empty list" if value == [] else f"a {type(value).__name__}"
        raise TrainingError(f"{where}: {name} is {what}; it must be a list of messages with role and content.")
    return tuple(_turn(each, f"{where}: message {number} of {name}") for number, each in enumerate(value, 1))


def _turn(value: Any, where: str) -> Turn:
    if not isinstance(value, dict):
        raise TrainingError(f"{where} is a {type(value).__name__}; it must be an object with role and content.")
    told = {key: each for key, each in value.items() if each is not None}
    for key in ("role", "content"):
        if key not in told:
            there = ", ".join(told) or "nothing"
            raise TrainingError(f"{where} has no {key} (it has: {there}); a message has role and content.")
        if not isinstance(told[key], str):
            raise TrainingError(f"{where}: {key} is a {type(told[key]).__name__}, not a text.")
    if more := [key for key in told if key not in ("role", "content")]:
        raise TrainingError(f"{where} has '{more[0]}', which nothing is learned from; a message has role and content.")
    if told["role"] not in ROLES:
        raise TrainingError(f"{where}: the role '{told['role']}' is not known; roles are: {', '.join(ROLES)}.")
    return Turn(told["role"], told["content"])


def _checked(where: str, turns: Sequence[Turn]) -> Conversation:
    answers = [number for number, turn in enumerate(turns, 1) if turn.role == ANSWERS]
    if not answers:
        raise TrainingError(f"{where}: no message is the {ANSWERS}'s, so there is no answer to learn.")
    for number in answers:
        if not turns[number - 1].content.strip():
            raise TrainingError(f"{where}: the answer in message {number} is empty; leave the conversation out.")
    if answers[0] == 1:
        raise TrainingError(f"{where}: the first message is the {ANSWERS}'s, and there is nothing that it answers.")
    return Conversation(where, tuple(turns))
