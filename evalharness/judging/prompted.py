"""Judges that put candidates before the judge model by one of the prompts of ``prompts/judges/``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from evalharness.errors import DataError
from evalharness.judging.asking import Asked, Asking
from evalharness.judging.prompts import JudgePrompt, Which, judge_prompt
from evalharness.prompting.templates import Expression, Template
from evalharness.types import Message, Sample


class Prompted(Asking):
    """Base of judges with a named prompt. Of a conversation, each turn's answer is a candidate and is judged with the
    turns before it."""

    templated: ClassVar[tuple[str, ...]] = ("prompt", "later_prompt", "questions", "references")
    reads: ClassVar[tuple[str, ...]] = ("which",)
    compares: ClassVar[bool]
    """Whether its prompts show two candidates."""

    prompt: str
    """Name of a prompt in prompts/judges/, or a YAML file like those; a template, so that it may depend on a row."""
    later_prompt: str | None = None
    """The prompt for the second turn of a conversation and those after it, in place of `prompt`."""
    questions: str
    """Expression: what was asked, a list with a text for each turn."""
    references: str | None = None
    """Expression: right answers, a list with a text for each turn, for prompts that show them."""
    which: Which | None = None
    """Of several verdicts in one answer of the judge, the one to take: only, first or last; as the prompt says, unless
    given."""

    @cached_property
    def _names(self) -> tuple[Template, Template]:
        first = Template(self.prompt, f"{self._where}.prompt")
        later = self.later_prompt
        return first, first if later is None else Template(later, f"{self._where}.later_prompt")

    @cached_property
    def _lists(self) -> Mapping[str, Expression]:
        sources = {"questions": self.questions, "references": self.references}
        return {
            field: Expression(text, f"{self._where}.{field}") for field, text in sources.items() if text is not None
        }

    @property
    def templates(self) -> Sequence[Template | Expression]:
        return [*dict.fromkeys(self._names), *self._lists.values()]

    def named(self, sample: Sample, turn: int) -> tuple[str, JudgePrompt]:
        """The prompt for a turn, counted from 0, with its name.

        Raises:
            DataError: there is no such prompt, or it shows another number of candidates.
        """
        name = self._names[min(turn, 1)](_row(sample)).strip()
        try:
            prompt = judge_prompt(name)
        except DataError as error:
            raise DataError(f"{self._names[min(turn, 1)].where}: {error}") from None
        if prompt.compares != self.compares:
            shows = "compares two candidates" if prompt.compares else "asks for a rating of one"
            raise DataError(f"{self._names[min(turn, 1)].where}: the prompt '{name}' {shows}; name another.")
        return name, prompt

    def values(self, sample: Sample, turn: int) -> dict[str, Any]:
        """What a prompt sees beside the candidates: the turns up to this one.

        Raises:
            DataError: no list of texts, or fewer questions than turns.
        """
        found: dict[str, Any] = {"questions": [], "references": []}
        for field, expression in self._lists.items():
            texts = expression(_row(sample))
            if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
                raise DataError(f"{expression.where}: this field must yield a list of texts, not {texts!r:.80}.")
            found[field] = list(texts[: turn + 1])
        if len(found["questions"]) <= turn:
            raise DataError(
                f"{self._where}.questions: sample {sample.id} has {len(found['questions'])} questions and an answer "
                f"number {turn + 1}; a conversation has one for each turn."
            )
        return found

    def put(
        self, sample: Sample, turn: int, said: Mapping[str, Sequence[str]], special: Sequence[str] = ()
    ) -> tuple[str, tuple[Message, ...]]:
        """The name of the prompt and the conversation that it makes of the candidates up to a turn."""
        name, prompt = self.named(sample, turn)
        up_to = {side: list(texts[: turn + 1]) for side, texts in said.items()}
        return name, prompt.messages(up_to, self.values(sample, turn), special)

    def rendered(self, sample: Sample, said: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """What a sample's first turn puts before the judge (and the second, where it has a prompt of its own), and how
        its answers are read."""
        turns = (0, 1) if self.later_prompt else (0,)
        messages = [self.put(sample, turn, said)[1] for turn in turns]
        parsers = [self.named(sample, turn)[1].parser(self.which) for turn in turns]
        return {
            "messages": [[[each.role, each.content] for each in turn] for turn in messages],
            "parsers": [[parser.version, parser.model_dump(mode="json")] for parser in parsers],
        }

    def parsed(self, asked: Asked) -> tuple[str | None, str | None]:
        """What an answer of the judge says, or why it says nothing."""
        found = judge_prompt(asked["template"]).parser(self.which).parse(asked["said"])
        return found.value, found.why


def _row(sample: Sample) -> dict[str, Any]:
    return {"subset": sample.subset, **sample.row}
