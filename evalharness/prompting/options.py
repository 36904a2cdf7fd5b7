"""The sections of a task file that say how a sample is asked: `prompt`, `choices`, `document`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from evalharness.options import Options
from evalharness.prompting.split_rules import SplitRule


class PromptOptions(Options):
    """How one turn asks, and how turns are joined. Text fields are templates over the row's columns."""

    template: str = "plain"
    """Name of a template in prompts/: how the question is put. It sees `question` and `options`."""
    question: str
    """The question itself. With `choices.continuation` it is put once for each choice, which it sees as `choice`."""
    options: str | None = None
    """Expression: the texts of lettered options, shown by templates such as lettered_choices."""
    wordings: dict[str, str] = Field(default_factory=dict)
    """By name, other templates of the question itself, for the perturbation `wording`."""
    tools: str | None = None
    """Expression: the functions that a model may call natively, a list of {name, description, parameters}; for methods
    such as function_calling. OpenAI's {type: function, function: ...} is understood too."""
    description: str = ""
    """What stands once before everything, glued as it is (give it its own blank line)."""
    descriptions: dict[str, str] = Field(default_factory=dict)
    """In place of `description`, by subset."""
    between: str | None = None
    """What stands between the demonstrations and the question, glued as it is."""
    answer: str | None = None
    """What a demonstration answers; for tasks with choices the right choice, unless given."""
    reasoned_answer: str | None = None
    """What a demonstration answers when the method asks for a chain of thought."""
    answer_trigger: str = "Therefore, the answer is"
    """Asks for the answer after zero-shot reasoning (Kojima et al. 2022, arXiv:2205.11916)."""
    delimiter: str = " "
    """Between a question and its answer. A chat template brings its own, and this is left out."""
    separator: str = "\n\n"
    """After each demonstration."""
    split_rule: SplitRule = "common_prefix"
    """How a scored continuation is cut from its context in token ids."""
    too_long: Literal["cut_left", "error"] = "cut_left"
    """A prompt longer than the model's context: cut it on the left and count it, or fail the sample."""


class ChoiceOptions(Options):
    """The choices of a multiple-choice sample, and which is right."""

    texts: str | tuple[str, ...]
    """Expression that yields the list of texts, or a list of templates."""
    gold: str | None = None
    """Expression that yields the position of the right choice, counted from 0."""
    golds: str | None = None
    """Expression that yields the positions of the right choices, where there may be several."""
    count: Annotated[int, Field(ge=2)] | Literal["varies"] | None = None
    """How many choices a sample has, which `tasks validate` holds the data to; one number for all unless it varies."""
    continuation: str | None = None
    """Template: the one text that is scored after each choice in turn, where the choices stand in the question
    (partial evaluation; Trinh and Le 2018, arXiv:1806.02847)."""

    @model_validator(mode="after")
    def _one_gold(self) -> ChoiceOptions:
        if (self.gold is None) == (self.golds is None):
            raise ValueError("say which choice is right: give gold (one position) or golds (a list of them).")
        return self


class TargetOptions(Options):
    """Several right texts, of which any counts."""

    any_of: str
    """Expression that yields the list of right texts."""


class DocumentOptions(Options):
    """A text whose every token is scored."""

    text: str
    """The text that the model sees."""
    units_of: str | None = None
    """The text whose words and bytes the log-likelihood is divided by, where it is another one."""
