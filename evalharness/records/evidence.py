"""What a repeat of a journal line shows for its scores: verdicts of judges with their programs, uses of tools, steps.

Pages and terminals show both alike, whatever the judge or the tool: a label, a few facts, and blocks of text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from evalharness.pages.highlight import Language


class Block(NamedTuple):
    """A text under its title."""

    title: str
    text: str
    language: Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One verdict, one use of a tool, or one step of a loop."""

    title: str
    """Of what: the judge and the candidate, the tool and the number of its use, or the number of the step."""
    label: str
    """The verdict, or the status of the use or step."""
    explanation: str
    in_box: bool
    """Whether tests ran in the program's own process, where it could have meddled with them."""
    facts: str
    """Level of isolation, seconds."""
    blocks: tuple[Block, ...]


def verdicts_of(repeat: Mapping[str, Any]) -> list[Evidence]:
    """What judges said, in the order of the journal."""
    verdicts = repeat.get("verdicts") or ()
    candidates = len({verdict.get("candidate") for verdict in verdicts})
    return [_verdict(verdict, candidates) for verdict in verdicts]


def tool_uses_of(repeat: Mapping[str, Any]) -> list[Evidence]:
    """What tools were given and gave back, in the order in which they were used; those of a loop are in its steps."""
    uses = [use for use in repeat.get("tool_uses") or () if not (repeat.get("steps") and use.get("step"))]
    return [_tool_use(use, number, len(uses)) for number, use in enumerate(uses, 1)]


def steps_of(repeat: Mapping[str, Any]) -> list[Evidence]:
    """The turns of a loop, each with its thought, its action and what the model was shown."""
    uses = {str(use.get("step")): use for use in repeat.get("tool_uses") or ()}
    steps = repeat.get("steps") or ()
    return [_step(step, number, len(steps), uses.get(str(number), {})) for number, step in enumerate(steps, 1)]


def labels_of(line: Mapping[str, Any]) -> list[str]:
    """The labels of a sample's verdicts, the first repeat's first candidate first."""
    return [label for _, label in judged_labels(line)]


def judged_labels(line: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The same, each with its judge."""
    for repeat in line.get("repeats") or ():
        for verdict in repeat.get("verdicts") or ():
            yield str(verdict.get("judge", "")), str(verdict.get("label", ""))


def tool_statuses(line: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every tool that was used with the status of the use."""
    for repeat in line.get("repeats") or ():
        for use in repeat.get("tool_uses") or ():
            yield str(use.get("tool", "")), _status(use)


def explanations_of(repeat: Mapping[str, Any]) -> dict[str, str]:
    """By metric, why the repeat has its score, where the metric says so."""
    return {str(metric): str(text) for metric, text in (repeat.get("explanations") or {}).items()}


_KIND = re.compile(r"([a-z][a-z_ -]{1,40}): ")


def kinds_of(line: Mapping[str, Any]) -> list[str]:
    """The kinds that explanations begin with: ``wrong_value`` of "wrong_value: call 1, argument 'unit': ..."."""
    found = [_KIND.match(text) for repeat in line.get("repeats") or () for text in explanations_of(repeat).values()]
    return [match[1] for match in found if match]


def indented(value: Any) -> str:
    """JSON for people; on one line where it is nested deeper than Python can indent."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=1)
    except RecursionError:
        return json.dumps(value, ensure_ascii=False)


# --------------------------------------------------------------------------- the parts

_FACTS = frozenset({"level", "in_box", "seconds", "model", "score", "scale", "preference", "asked"})
_TEXTS = {"program": "Program", "stdout": "Output", "stderr": "Error output"}
"""Further details that are texts, with their titles."""


def _verdict(verdict: Mapping[str, Any], candidates: int) -> Evidence:
    details = verdict.get("details") or {}
    number = verdict.get("candidate")
    judge = str(verdict.get("judge", ""))
    return Evidence(
        title=f"{judge}, candidate {number + 1}" if candidates > 1 and isinstance(number, int) else judge,
        label=str(verdict.get("label", "")),
        explanation=str(verdict.get("explanation") or ""),
        in_box=details.get("in_box") is True,
        facts=_facts(details),
        blocks=tuple(_blocks(details)),
    )


def _tool_use(use: Mapping[str, Any], number: int, of: int) -> Evidence:
    tool, details = str(use.get("tool", "")), use.get("details") or {}
    return Evidence(
        title=f"{tool}, use {number} of {of}" if of > 1 else tool,
        label=_status(use),
        explanation="",
        in_box=details.get("in_box") is True,
        facts=_facts(details),
        blocks=(
            *_arguments(tool, use.get("arguments") or {}),
            Block("Result", str(use.get("result", "")), "text"),
            *_blocks(details),
        ),
    )


def _step(step: Mapping[str, Any], number: int, of: int, use: Mapping[str, Any]) -> Evidence:
    observation = step.get("observation")
    action = Block("Action", str(step.get("action", "")), "python" if use.get("tool") == "python" else "text")
    return Evidence(
        title=f"step {number} of {of}" if of > 1 else "step",
        label=_status(step),
        explanation=f"asked again: {step['again']}" if step.get("again") else "",
        in_box=False,
        facts=_facts(use.get("details") or {}),
        blocks=(
            Block("Thought", str(step.get("thought", "")), "text"),
            action,
            *(() if observation is None else [Block("Observation", str(observation), "text")]),
            *_blocks(use.get("details") or {}),
        ),
    )


def _status(use: Mapping[str, Any]) -> str:
    return str(use.get("status") or "ok")


def _facts(details: Mapping[str, Any]) -> str:
    facts = [str(details["level"])] if details.get("level") else []
    seconds = details.get("seconds")
    if isinstance(seconds, int | float):
        facts.append(f"{seconds:.3g} s")
    return ", ".join(facts + _judged(details))


def _judged(details: Mapping[str, Any]) -> list[str]:
    """Who judged, and the number that came of it."""
    facts = [f"by {details['model']}"] if details.get("model") else []
    score, scale, preference = (details.get(key) for key in ("score", "scale", "preference"))
    if isinstance(score, int | float):
        ends = [end for end in scale if isinstance(end, int | float)] if isinstance(scale, list) else []
        facts.append(f"score {score:g}" + (f" of {ends[0]:g} to {ends[1]:g}" if len(ends) == 2 else ""))
    if isinstance(preference, int | float):
        facts.append(f"preference {preference:.3g}")
    return facts


def _arguments(tool: str, arguments: Mapping[str, Any]) -> Iterator[Block]:
    """Programs, and texts of several lines, as they are; the rest as JSON."""
    rest = {}
    for name, value in arguments.items():
        if isinstance(value, str) and (tool == "python" or "\n" in value):
            yield Block(name.capitalize(), value, "python" if tool == "python" else "text")
        else:
            rest[name] = value
    if rest:
        yield Block("Arguments", indented(rest), "json")


def _blocks(details: Mapping[str, Any]) -> Iterator[Block]:
    asked = details.get("asked")
    yield from (_asked(each) for each in (asked if isinstance(asked, list) else ()) if isinstance(each, Mapping))
    for key, title in _TEXTS.items():
        if isinstance(text := details.get(key), str) and text:
            yield Block(title, text, "python" if key == "program" else "text")
    rest = {key: value for key, value in details.items() if key not in _FACTS and key not in _TEXTS}
    if rest:
        yield Block("Further details", indented(rest), "json")


def _asked(asked: Mapping[str, Any]) -> Block:
    """A question to a judge model with its raw answer."""
    first = f", {asked['first']} first" if asked.get("first") else ""
    prompt = f" to {asked['template']}" if asked.get("template") else ""
    if "log_likelihoods" in asked:
        return Block(f"Log-likelihoods of the answers{prompt}{first}", indented(asked["log_likelihoods"]), "json")
    if "error" in asked:
        return Block(f"The judge failed{first}", str(asked["error"]), "text")
    return Block(f"The judge's answer{prompt}{first}", str(asked.get("said", "")), "text")
