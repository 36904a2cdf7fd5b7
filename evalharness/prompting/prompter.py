"""One path from a sample and its demonstrations to messages, text and ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalharness.errors import DataError, UsageError
from evalharness.prompting.chat import render_chat
from evalharness.prompting.options import ChoiceOptions, DocumentOptions, PromptOptions
from evalharness.prompting.split_rules import RULES
from evalharness.prompting.templates import Expression, Template, turn_template
from evalharness.prompting.windows import sliding_windows
from evalharness.types import Message, Prompt, Reference, Sample, Tokenizer


@dataclass(frozen=True, slots=True)
class Turn:
    """A question as it is put, with its answer when it is a demonstration."""

    question: str
    answer: str | None = None


class Renderer:
    """The templates of a task, compiled: rows to turns, references, choices, documents.

    It knows nothing of models; `Prompter` joins its turns for one.
    """

    def __init__(
        self,
        prompt: PromptOptions,
        *,
        target: str | None,
        choices: ChoiceOptions | None,
        continuation: str | None,
        document: DocumentOptions | None,
        where: str,
    ) -> None:
        def text(source: str | None, field: str) -> Template | None:
            return None if source is None else Template(source, f"{where}: {field}")

        self.where = where
        self.options = prompt
        self._turn = turn_template(prompt.template)
        self._question = Template(prompt.question, f"{where}: prompt.question")
        self._lettered = Expression(prompt.options, f"{where}: prompt.options") if prompt.options else None
        self._description = Template(prompt.description, f"{where}: prompt.description")
        self._answer = text(prompt.answer, "prompt.answer")
        self._reasoned = text(prompt.reasoned_answer, "prompt.reasoned_answer")
        self._target = text(target, "target")
        self._continuation = text(continuation, "continuation")
        self._document = text(document.text if document else None, "document.text")
        self._units_of = text(document.units_of if document else None, "document.units_of") or self._document
        self._turns: dict[tuple[int, bool], tuple[Sample, Turn]] = {}
        """Demonstrations already rendered: the same ones stand before sample after sample, and rendering them was
        half of the time of a replay. By identity, so each sample is kept beside its turn."""
        self._choices: Expression | list[Template] | None = None
        self._gold: Expression | None = None
        if choices:
            self._gold = Expression(choices.gold, f"{where}: choices.gold")
            self._choices = (
                Expression(choices.texts, f"{where}: choices.texts")
                if isinstance(choices.texts, str)
                else [Template(source, f"{where}: choices.texts") for source in choices.texts]
            )

    @property
    def columns(self) -> frozenset[str]:
        """The columns of a row that any template uses: what a sample's content hash covers."""
        parts = [
            self._question,
            self._lettered,
            self._description,
            self._answer,
            self._reasoned,
            self._target,
            self._continuation,
            self._document,
            self._units_of,
            self._gold,
        ]
        parts += self._choices if isinstance(self._choices, list) else [self._choices]
        return frozenset().union(*(part.columns for part in parts if part)) - {"subset"}

    def description(self, sample: Sample) -> str:
        return self._description(_values(sample))

    def question(self, sample: Sample) -> str:
        values = _values(sample)
        shown: dict[str, Any] = {"question": self._question(values)}
        if self._lettered:
            shown["options"] = _strings(self._lettered(values), self._lettered.where)
        return self._turn(shown)

    def demonstration(self, sample: Sample, *, reasoned: bool) -> Turn:
        """The question with the answer that a demonstration shows.

        Raises:
            DataError: the definition does not say what a demonstration answers.
        """
        key = id(sample), reasoned
        if key not in self._turns:
            self._turns[key] = sample, self._demonstration(sample, reasoned)
        return self._turns[key][1]

    def _demonstration(self, sample: Sample, reasoned: bool) -> Turn:
        template = self._reasoned if reasoned else self._answer
        if template:
            return Turn(self.question(sample), template(_values(sample)))
        if reasoned:
            raise DataError(
                f"{self.where}: prompt.reasoned_answer is missing: without it no demonstration can show a "
                "chain of thought; use --shots 0 or --method direct."
            )
        reference = self.reference(sample)
        match reference.target:
            case int(gold) if reference.choices:
                return Turn(self.question(sample), reference.choices[gold])
            case str(target):
                return Turn(self.question(sample), target)
            case tuple(targets):
                return Turn(self.question(sample), targets[0])
        raise DataError(f"{self.where}: prompt.answer is missing: a demonstration needs an answer.")

    def reference(self, sample: Sample) -> Reference:
        """What scoring needs: target, choices, lengths.

        Raises:
            DataError: choices that are no list of texts, or a gold position outside of it.
        """
        values = _values(sample)
        choices: tuple[str, ...] = ()
        target: str | int | None = self._target(values) if self._target else None
        if self._choices is not None and self._gold is not None:
            if isinstance(self._choices, list):
                choices = tuple(template(values) for template in self._choices)
            else:
                choices = _strings(self._choices(values), self._choices.where)
            target = self._gold(values)
            if type(target) is not int or not 0 <= target < len(choices):
                raise DataError(
                    f"{self._gold.where}: sample {sample.id} has the gold position {target!r}, but its "
                    f"{len(choices)} choices are counted from 0 to {len(choices) - 1}."
                )
        elif self._continuation:
            target = self._continuation(values)
        units = _units(self._units_of(values)) if self._units_of else {}
        return Reference(target=target, choices=choices, units=units)

    def document(self, sample: Sample) -> str:
        if self._document is None:
            raise DataError(f"{self.where}: this method scores a document, but the task has no section 'document'.")
        return self._document(_values(sample))


class Prompter:
    """Joins turns for one model: plain text or its chat template, ids with the right BOS, cut to its context."""

    def __init__(
        self,
        options: PromptOptions,
        *,
        tokenizer: Tokenizer | None,
        max_length: int | None,
        chat: bool = False,
        system_prompt: str | None = None,
    ) -> None:
        self.options = options
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.chat = chat
        self.system_prompt = system_prompt

    def messages(self, description: str, demonstrations: Sequence[Turn], question: str) -> tuple[Message, ...]:
        """The conversation before any chat template."""
        system = "\n\n".join(part for part in (self.system_prompt, description) if part)
        turns = [Message("system", system)] if system else []
        for turn in demonstrations:
            turns += [Message("user", turn.question), Message("assistant", turn.answer or "")]
        return (*turns, Message("user", question))

    def prompt(self, messages: Sequence[Message], *, reserve: int) -> Prompt:
        """The conversation in every form, with room for `reserve` tokens of answer.

        Raises:
            UsageError: the answer alone fills the model's context.
            DataError: the prompt is longer than the context and the task says `too_long: error`.
        """
        if self.chat:
            if self.tokenizer is None:
                return Prompt(messages=tuple(messages), text=self.plain(messages))
            text = render_chat(self.tokenizer, messages)
        else:
            text = self.plain(messages)
        return self._with_ids(tuple(messages), text, reserve)

    def extended(self, prompt: Prompt, said: str, then: str, *, reserve: int) -> Prompt:
        """A further turn after what the model `said`: plain text goes on, a conversation gets a user's turn."""
        messages = (*prompt.messages, Message("assistant", said), Message("user", then.strip()))
        if self.chat:
            return self.prompt(messages, reserve=reserve)
        return self._with_ids(messages, prompt.text + said + then, reserve)

    def continuation(self, context: Prompt, text: str) -> tuple[tuple[int, ...] | None, int, int]:
        """Ids of context and continuation, the first scored position, and how many ids were cut from the left.

        The continuation begins with the delimiter unless a chat template set the scene.
        """
        if self.tokenizer is None:
            return None, 1, 0
        continuation = self.delimited(text)
        if context.text:
            context_ids = self._encode(context.text) if context.cut or context.ids is None else context.ids
            ids, start = RULES[self.options.split_rule](self._encode, context.text, context_ids, continuation)
        else:
            ids, start = self.tokenizer.encode(continuation), 0
        if start == 0:
            ids, start = self._prefixed(ids), 1
        return self._cut(ids, start, self.max_length)

    def delimited(self, text: str) -> str:
        """The continuation as it is scored: with the delimiter in plain text, without it in a chat."""
        return text if self.chat else self.options.delimiter + text

    def windows(self, text: str) -> list[tuple[tuple[int, ...], int]]:
        """Sliding windows over a document: (ids, first scored position) each."""
        if self.tokenizer is None:
            raise DataError("scoring a document needs the model's tokenizer, and this backend has none.")
        prefix, *ids = self._prefixed(self.tokenizer.encode(text))
        return list(sliding_windows(ids, prefix, self.max_length or len(ids)))

    def plain(self, messages: Sequence[Message]) -> str:
        """The turns glued as plain text, ending where the answer begins."""
        text = ""
        for number, message in enumerate(messages):
            text += message.content
            if message.role == "assistant":
                text += self.options.separator
            elif message.role == "user" and number + 1 < len(messages):
                text += self.options.delimiter
            elif message.role == "system" and message.content == self.system_prompt:
                text += "\n\n"  # a task's description brings its own blank line, a user's system prompt does not
        return text

    def _with_ids(self, messages: tuple[Message, ...], text: str, reserve: int) -> Prompt:
        if self.tokenizer is None:
            return Prompt(messages=messages, text=text)
        room = None if self.max_length is None else self.max_length - reserve
        if room is not None and room < 1:
            raise UsageError(
                f"a context of {self.max_length} tokens has no room for {reserve} tokens of answer; lower "
                "--set decode.max_tokens, or raise --max-length."
            )
        ids, _, cut = self._cut(self._encode(text), 0, room, fed=True)
        return Prompt(messages=messages, text=text, ids=ids, cut=cut)

    def _encode(self, text: str) -> list[int]:
        """Ids with exactly as many BOS as the tokenizer declares.

        Raises:
            DataError: the text brings a BOS of its own on top of another one (a template that spells it twice).
        """
        tokenizer = self.tokenizer
        assert tokenizer is not None
        ids = tokenizer.encode(text)
        bos = tokenizer.bos_id
        if tokenizer.add_bos and bos is not None:
            if ids[:1] != [bos]:
                ids = [bos, *ids]
            elif ids[1:2] == [bos]:
                raise DataError("the prompt begins with two BOS tokens; take one out of the template.")
        return ids

    def _prefixed(self, ids: Sequence[int]) -> list[int]:
        """BOS (EOS, for a model without) before ids that nothing precedes, unless they begin with it already.

        Raises:
            DataError: the tokenizer has neither.
        """
        assert self.tokenizer is not None
        prefix = self.tokenizer.bos_id if self.tokenizer.bos_id is not None else self.tokenizer.eos_id
        if prefix is None:
            raise DataError("scoring without a context needs a BOS or EOS token, and this tokenizer has neither.")
        return [*ids] if ids[:1] == [prefix] else [prefix, *ids]

    def _cut(
        self, ids: Sequence[int], start: int, room: int | None, *, fed: bool = False
    ) -> tuple[tuple[int, ...], int, int]:
        """Keep the last ids that fit; of a scored sequence the last id is never fed, so one more fits."""
        limit = None if room is None else room if fed else room + 1
        surplus = 0 if limit is None else len(ids) - limit
        if surplus <= 0:
            return tuple(ids), start, 0
        if self.options.too_long == "error":
            raise DataError(
                f"the prompt has {len(ids)} tokens and the model's context holds {limit}; "
                "ask for fewer --shots, or let the task cut it (prompt.too_long: cut_left)."
            )
        return tuple(ids[surplus:]), max(start - surplus, 1), surplus


def _values(sample: Sample) -> Mapping[str, Any]:
    return {"subset": sample.subset, **sample.row}


def _strings(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise DataError(f"{where}: this field must yield a list of texts, not {value!r:.80}.")
    return tuple(value)


def _units(text: str) -> dict[str, int]:
    """Lengths as published word and byte perplexities count them: words are what whitespace separates."""
    import re

    return {"words": len(re.split(r"\s+", text)), "bytes": len(text.encode()), "characters": len(text)}
