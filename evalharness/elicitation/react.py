"""The method that lets the model think, use a tool, see what comes of it, and think again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field, model_validator

from evalharness.elicitation.base import Ask, Method, ToolOptions
from evalharness.tools.base import Resources, Toolbox, build_tools
from evalharness.types import Attempt, LoopStep, Prompt, ToolSchema, ToolUse

Word = Annotated[str, Field(pattern=r"^[A-Za-z]\w*$")]


class ReactOptions(ToolOptions):
    """Options of react."""

    steps: int = Field(default=7, ge=1)
    """Turns at most; a loop that has not finished by then answers nothing."""
    thought: Word = "Thought"
    """This and the next two begin the lines of a turn, each with the turn's number: ``Thought 1:``."""
    action: Word = "Action"
    observation: Word = "Observation"
    finish: Word = "Finish"
    """The action that ends the loop: ``Finish[answer]``."""

    @model_validator(mode="after")
    def _words_apart(self) -> ReactOptions:
        if len({self.thought, self.action, self.observation}) < 3:
            raise ValueError("thought, action and observation must be three different words.")
        if _name(self.finish) in (spec if isinstance(spec, str) else spec.get("tool") for spec in self.tools):
            raise ValueError(f"finish is '{self.finish}', which calls a tool of that name; choose another word.")
        return self


async def _react(ask: Ask, options: ReactOptions) -> Attempt:
    """Yao et al. 2022, arXiv:2210.03629, as its hotpotqa.ipynb has it: turns of a thought and an action, until the
    action is ``Finish[answer]``.

    A turn is asked for behind ``Thought i:``, to where the model would write ``Observation i:`` itself. What is written
    must be a thought, a line ``Action i: `` and the action. Anything else is a bad call: its first line is the thought,
    and the action is asked for again behind ``Action i:``, to the end of the line. A further line that begins with one
    of the three words makes a bad call too, where the notebook takes it for a part of thought or action: what a model
    makes up itself is never an observation.

    The candidate is what ``Finish`` holds; empty after the last step.
    """
    prompt = ask.prompt(reasoned=True, lead=f"{options.thought} 1:")
    resources = Resources(sandbox=ask.sandbox, corpus=ask.corpus)
    steps: list[LoopStep] = []
    uses: list[ToolUse] = []
    answer = None
    async with Toolbox(build_tools(options.tools, resources, f"{ask.task}: elicitation.tools")) as box:
        for number in range(1, options.steps + 1):
            turn = await _turn(ask, prompt, number, options)
            action = _read_action(turn.action)
            if action is not None and action.name == _name(options.finish):
                answer = action.argument
                steps.append(turn.step("finished"))
                break
            if action is None:
                steps.append(turn.step("malformed", _refused(turn.action)))
            else:
                use = replace(await _used(box, action, turn.action), step=number)
                uses.append(use)
                steps.append(turn.step(use.status, use.result))
            if number < options.steps:
                then = f"\n{options.observation} {number}: {steps[-1].observation}\n{options.thought} {number + 1}:"
                prompt = ask.extended(turn.prompt, f" {turn.said}", then)
    return Attempt(calls=tuple(ask.calls), candidates=(answer or "",), tool_uses=tuple(uses), steps=tuple(steps))


@dataclass(frozen=True, slots=True)
class _Turn:
    """A thought and an action that the model wrote, in one call or in two."""

    thought: str
    action: str
    again: str | None
    prompt: Prompt
    """The last one of the turn."""
    said: str
    """What goes on from it."""

    def step(self, status: str, observation: str | None = None) -> LoopStep:
        return LoopStep(
            thought=self.thought, action=self.action, observation=observation, status=status, again=self.again
        )


async def _turn(ask: Ask, prompt: Prompt, number: int, options: ReactOptions) -> _Turn:
    stop = (*ask.sampling.stop, f"\n{options.observation} {number}:")
    (said,) = await ask.generate(prompt, sampling=replace(ask.sampling, stop=stop), continues=True)
    text = _unlabelled(said.text, options.thought, number)
    label = f"\n{options.action} {number}:"
    thought, parted, action = text.partition(f"{label} ")
    again = _fault(text, number, options)
    if again is None:
        return _Turn(thought, action, None, prompt, f"{thought}{parted}{action}")
    thought = text.split("\n", 1)[0]
    prompt = ask.extended(prompt, f" {thought}", label)
    stop = (*ask.sampling.stop, "\n")
    goes_on = number < options.steps
    (said,) = await ask.generate(prompt, sampling=replace(ask.sampling, stop=stop), continues=goes_on)
    action = _unlabelled(said.text, options.action, number)
    return _Turn(thought, action, again, prompt, action)


def _unlabelled(text: str, word: str, number: int) -> str:
    """What was written without the label that the prompt ends in, which models repeat in conversations."""
    return re.sub(rf"\A{word}(?: {number})?:", "", text.strip()).strip()


def _fault(text: str, number: int, options: ReactOptions) -> str | None:
    """Why a text is not one thought and one action."""
    if not text:
        return "nothing was written"
    label = f"{options.action} {number}:"
    count = text.count(f"\n{label} ")
    if count == 0:
        return f"there is no line '{label} '"
    if count > 1:
        return f"there are {count} lines '{label} '"
    words = "|".join((options.thought, options.action, options.observation))
    further = re.search(rf"^(?:{words})(?: \d+)?:", text.replace(f"\n{label} ", "\n", 1), re.MULTILINE)
    return f"there is a line '{further[0]}' besides" if further else None


@dataclass(frozen=True, slots=True)
class _Action:
    name: str
    argument: str


_ACTION = re.compile(r"([A-Za-z_]\w*)\[(.*)\]", re.DOTALL)


def _read_action(text: str) -> _Action | None:
    """``Search[entity]``, with a small letter too; None for anything else."""
    action = _ACTION.fullmatch(text)
    return _Action(_name(action[1]), action[2]) if action else None


def _name(written: str) -> str:
    return written[0].lower() + written[1:]


def _refused(action: str) -> str:
    return f"Invalid action: {action[:1].lower()}{action[1:]}"


async def _used(box: Toolbox, action: _Action, written: str) -> ToolUse:
    schema = next((schema for schema in box.schemas if schema.name == action.name), None)
    if schema is None:
        refused = _refused(written)
        return ToolUse(tool=action.name, arguments={"argument": action.argument}, result=refused, status="unknown")
    return await box.use(action.name, _arguments(schema, action.argument))


def _arguments(schema: ToolSchema, argument: str) -> Mapping[str, Any] | str:
    """The one text that a tool asks for; of a tool that asks for something else, the JSON of its arguments."""
    properties, required = schema.parameters.get("properties", {}), schema.parameters.get("required", ())
    if len(required) == 1 and properties.get(required[0], {}).get("type") == "string":
        return {required[0]: argument}
    return argument


react = Method(name="react", run=_react, needs="target", options=ReactOptions, reasoned=True, loops=True)
