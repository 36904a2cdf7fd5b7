"""The prompts of judges that come with the package: ``prompts/judges/NAME.yaml``, published ones word for word.

A prompt sees `questions`, `references` (each a list, a text a turn) and `answers`; one that compares sees `first` and
`second` in place of `answers`. The candidates' texts are quoted (`quoting`) before they are filled in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from evalharness.answers.base import Parser
from evalharness.answers.rating import RatingParser
from evalharness.answers.verdict import VerdictParser
from evalharness.errors import DataError, nearest
from evalharness.judging.asking import conversation
from evalharness.judging.quoting import fences_of, quoted
from evalharness.options import Options, parse_options
from evalharness.prompting.templates import Template
from evalharness.registry import shipped
from evalharness.types import Message

Which = Literal["only", "first", "last"]


class RatingForm(Options):
    """How a prompt asks for a rating."""

    low: int
    high: int
    which: Which
    single: bool


class JudgePrompt(Options):
    """A file of prompts/judges/."""

    source: str
    url: str | None = None
    license: str
    system: str | None = None
    prompt: str
    rating: RatingForm | None = None
    """For prompts that ask for a rating."""
    labels: dict[Literal["first", "second", "tie"], tuple[str, ...]] = Field(default_factory=dict)
    """For prompts that compare: how each outcome is spelled."""
    which: Which = "only"
    ignore_case: bool = True

    _name: str = PrivateAttr("")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.rating is None) == (not self.labels):
            raise ValueError("say what is asked for: give rating or labels.")
        return self

    @property
    def compares(self) -> bool:
        return bool(self.labels)

    def parser(self, which: Which | None = None) -> Parser:
        """What reads the judge's answer; `which` in place of the prompt's own."""
        if self.rating:
            form = self.rating
            return RatingParser(low=form.low, high=form.high, which=which or form.which, single=form.single)
        labels = {str(side): spellings for side, spellings in self.labels.items()}
        return VerdictParser(labels=labels, which=which or self.which, ignore_case=self.ignore_case)

    @cached_property
    def _texts(self) -> tuple[Template | None, Template]:
        where = self._name
        return (
            Template(self.system, f"{where}: system") if self.system else None,
            Template(self.prompt, f"{where}: prompt"),
        )

    def messages(
        self, said: Mapping[str, Sequence[str]], values: Mapping[str, Any], special: Sequence[str] = ()
    ) -> tuple[Message, ...]:
        """The conversation that puts the candidates' texts before the judge.

        Args:
            said: the candidates' texts by name: `answers`, or `first` and `second`.
            special: special tokens of the judge model.

        Raises:
            DataError: the prompt shows something that is not there: a reference, a second turn.
        """
        fences = fences_of(self.prompt)
        row = {**values, **{name: [quoted(text, fences, special) for text in texts] for name, texts in said.items()}}
        system, prompt = self._texts
        return conversation(system(row) if system else None, prompt(row))


@cache
def judge_prompt(name: str) -> JudgePrompt:
    """The prompt of this name, or of this file where the name ends with .yaml.

    Raises:
        DataError: there is none (the nearest is named), or the file is no prompt of a judge.
    """
    import yaml

    known = {path.stem: path for path in (shipped("prompts") / "judges").glob("*.yaml")}
    path = Path(name).expanduser() if name.endswith(".yaml") else known.get(name)
    if path is None:
        raise DataError(f"unknown prompt of a judge '{name:.60}'; {nearest(name, known)}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path}: cannot be read as YAML ({str(error).splitlines()[0]}).") from None
    prompt = parse_options(JudgePrompt, values, str(path))
    prompt._name = path.name
    _ = prompt._texts, prompt.parser()
    return prompt
