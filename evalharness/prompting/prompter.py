"""One path from a sample and its demonstrations to messages, text and ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evalharness.errors import DataError, UsageError
from evalharness.prompting.chat import render_chat
from evalharness.prompting.functions import function_schemas
from evalharness.prompting.options import ChoiceOptions, DocumentOptions, PromptOptions, TargetOptions
from evalharness.prompting.split_rules import RULES
from evalharness.prompting.templates import Expression, Template, turn_template
from evalharness.prompting.windows import sliding_windows
from evalharness.types import Message, Prompt, Reference, Sample, Tokenizer, ToolSchema


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
        target: str | TargetOptions | None,
        choices: ChoiceOptions | None,
        continuation: str | None,
        document: DocumentOptions | None,
        where: str,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        def text(source: str | None, field: str) -> Template | None:
            return None if source is None else Template(source, f"{where}: {field}")

        self.where = where
        self.options = prompt
        self._turn = turn_template(prompt.template)
        self._question = Template(prompt.question, f"{where}: prompt.question")
        self._lettered = Expression(prompt.options, f"{where}: prompt.options") if prompt.options else None
        self._tools = Expression(prompt.tools, f"{where}: prompt.tools") if prompt.tools else None
        self._description = Template(prompt.description, f"{where}: prompt.description")
        self._descriptions = {
            subset: Template(source, f"{where}: prompt.descriptions.{subset}")
            for subset, source in prompt.descriptions.items()
        }
        self._between = text(prompt.between, "prompt.between")
        self._answer = text(prompt.answer, "prompt.answer")
        self._reasoned = text(prompt.reasoned_answer, "prompt.reasoned_answer")
        self._target: Template | Expression | None = (
            Expression(target.any_of, f"{where}: target.any_of")
            if isinstance(target, TargetOptions)
            else text(target, "target")
        )
        self._continuation = text(continuation, "continuation")
        self._document = text(document.text if document else None, "document.text")
        self._units_of = text(document.units_of if document else None, "document.units_of") or self._document
        self._turns: dict[tuple[int, bool], tuple[Sample, Turn]] = {}
        """Demonstrations already rendered: the same ones stand before sample after sample, and rendering them was
        half of the time of a replay. By identity, so each sample is kept beside its turn."""
        self._facts = {name: Expression(source, f"{where}: facts.{name}") for name, source in (facts or {}).items()}
        self._choices: Expression | list[Template] | None = None
        self._gold: Expression | None = None
        self._after_choice: Template | None = None
        if choices:
            field = "gold" if choices.gold is not None else "golds"
            self._gold = Expression(str(getattr(choices, field)), f"{where}: choices.{field}")
            self._several = choices.golds is not None
            self._after_choice = text(choices.continuation, "choices.continuation")
            self._choices = (
                Expression(choices.texts, f"{where}: choices.texts")
                if isinstance(choices.texts, str)
                else [Template(source, f"{where}: choices.texts") for source in choices.texts]
            )

    @property
    def columns(self) -> frozenset[str]:
        """The columns of a row that what is asked and what is right depend on: a sample's content hash covers them."""
        made_here = {"subset", "choice"} if self._after_choice else {"subset"}
        answers = (self._answer, self._reasoned)
        columns = [template.columns for template in self.templates if template not in answers]
        return frozenset().union(*columns) - made_here

    @property
    def templates(self) -> list[Template | Expression]:
        """Every template of the definition; each knows its field."""
        parts = [
            self._question,
            self._lettered,
            self._tools,
            self._description,
            *self._descriptions.values(),
            self._between,
            self._answer,
            self._reasoned,
            self._target,
            self._continuation,
            self._document,
            self._units_of,
            self._gold,
            self._after_choice,
            *self._facts.values(),
        ]
        parts += self._choices if isinstance(self._choices, list) else [self._choices]
        return [part for part in parts if part]

    def demonstration_columns(self, *, reasoned: bool) -> frozenset[str]:
        """The columns of a row that is shown with its answer."""
        answer = self._reasoned if reasoned else self._answer
        asked = self._question.columns | (self._lettered.columns if self._lettered else frozenset())
        return (asked | answer.columns if answer else self.columns) - {"subset"}

    @property
    def choices_in_question(self) -> bool:
        """Whether the question is put once for each choice, with one and the same continuation after it."""
        return self._after_choice is not None

    def description(self, sample: Sample) -> str:
        template = self._descriptions.get(sample.subset or "", self._description)
        return template(row_values(sample))

    def question(self, sample: Sample, choice: str | None = None) -> str:
        """The question as it is put; with `choices_in_question`, the one that holds this `choice`."""
        values = row_values(sample)
        if choice is not None:
            values = {**values, "choice": choice}
        shown: dict[str, Any] = {"question": self._asked(sample, values)}
        if self._lettered:
            shown["options"] = self._shown_options(sample, values)
        return self._around(sample)(shown)

    def _asked(self, sample: Sample, values: Mapping[str, Any]) -> str:
        """The question itself, without the template around it."""
        return self._question(values)

    def _shown_options(self, sample: Sample, values: Mapping[str, Any]) -> tuple[str, ...]:
        assert self._lettered is not None
        return _strings(self._lettered(values), self._lettered.where)

    def _around(self, sample: Sample) -> Template:
        """How one turn asks."""
        return self._turn

    def questions(self, sample: Sample) -> list[str]:
        """Every question that is put about a sample: one, or one for each choice."""
        if not self.choices_in_question:
            return [self.last_question(sample)]
        return [self.last_question(sample, choice) for choice in self.reference(sample).choices]

    def last_question(self, sample: Sample, choice: str | None = None) -> str:
        """The question that the model answers, after what stands between the demonstrations and it."""
        between = self._between(row_values(sample)) if self._between else ""
        return between + self.question(sample, choice)

    def tools(self, sample: Sample) -> tuple[ToolSchema, ...]:
        """The functions that the model may call for this sample.

        Raises:
            DataError: the task names none, or the expression yields something else.
        """
        if self._tools is None:
            raise DataError(f"{self.where}: prompt.tools is missing: it says which functions the model may call.")
        return function_schemas(self._tools(row_values(sample)), self._tools.where)

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
        if self._after_choice:
            reference = self.reference(sample)
            right = reference.target[0] if isinstance(reference.target, tuple) else reference.target
            return Turn(self.question(sample, reference.choices[int(right or 0)]), self.after_choice(sample))
        if template:
            return Turn(self.question(sample), template(row_values(sample)))
        if reasoned:
            raise DataError(
                f"{self.where}: prompt.reasoned_answer is missing: without it no demonstration can show a "
                "chain of thought; use --shots 0 or --method direct."
            )
        reference = self.reference(sample)
        right = reference.target[0] if isinstance(reference.target, tuple) else reference.target
        if isinstance(right, int):
            return Turn(self.question(sample), reference.choices[right])
        if isinstance(right, str):
            return Turn(self.question(sample), right)
        raise DataError(f"{self.where}: prompt.answer is missing: a demonstration needs an answer.")

    def reference(self, sample: Sample) -> Reference:
        """What scoring needs: target, choices, lengths, facts.

        Raises:
            DataError: choices or targets that are no list of texts, or a gold position outside of it.
        """
        values = row_values(sample)
        choices: tuple[str, ...] = ()
        target: str | int | tuple[str, ...] | tuple[int, ...] | None = None
        if isinstance(self._target, Expression):
            target = self._any_of(self._target, sample)
        elif self._target:
            target = self._target(values)
        if self._choices is not None and self._gold is not None:
            if isinstance(self._choices, list):
                choices = tuple(template(values) for template in self._choices)
            else:
                choices = _strings(self._choices(values), self._choices.where)
            target = self._positions(sample, choices) if self._several else self._position(sample, choices)
        elif self._continuation:
            target = self._continuation(values)
        units = _units(self._units_of(values)) if self._units_of else {}
        facts = {name: fact(values) for name, fact in self._facts.items()}
        return Reference(target=target, choices=choices, units=units, facts=facts)

    def _any_of(self, template: Expression, sample: Sample) -> tuple[str, ...]:
        targets = _strings(template(row_values(sample)), template.where)
        if not targets:
            raise DataError(f"{template.where}: sample {sample.id} has no right text; at least one is needed.")
        return targets

    def _position(self, sample: Sample, choices: Sequence[str]) -> int:
        assert self._gold is not None
        return _checked(self._gold(row_values(sample)), choices, sample, self._gold.where)

    def _positions(self, sample: Sample, choices: Sequence[str]) -> tuple[int, ...]:
        assert self._gold is not None
        found = self._gold(row_values(sample))
        if not isinstance(found, list | tuple) or not found:
            raise DataError(
                f"{self._gold.where}: this field must yield a list of positions, at least one, not {found!r:.80}."
            )
        return tuple(_checked(position, choices, sample, self._gold.where) for position in found)

    def after_choice(self, sample: Sample) -> str:
        """The one continuation that is scored after each choice."""
        assert self._after_choice is not None
        return self._after_choice(row_values(sample))

    def document(self, sample: Sample) -> str:
        if self._document is None:
            raise DataError(f"{self.where}: this method scores a document, but the task has no section 'document'.")
        return self._document(row_values(sample))


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
            return self.with_tools(self.prompt(messages, reserve=reserve), prompt.tools, reserve=reserve)
        return replace(self._with_ids(messages, prompt.text + said + then, reserve), tools=prompt.tools)

    def with_tools(self, prompt: Prompt, tools: Sequence[ToolSchema], *, reserve: int) -> Prompt:
        """The same conversation with tools that the model may call natively: a server is told of them, and the chat
        template of a model that runs here shows them.

        Raises:
            UsageError: the prompt is plain text, or the template shows no tools.
        """
        if not tools:
            return prompt
        if self.tokenizer is None:
            return replace(prompt, tools=tuple(tools))
        if not self.chat:
            raise UsageError("native function calls need a conversation; add --chat.")
        text = render_chat(self.tokenizer, prompt.messages, tools)
        if text == prompt.text:
            raise UsageError(
                "this model's chat template shows no tools, so the model cannot call functions natively; ask for calls "
                "in words, or take another model."
            )
        return replace(self._with_ids(prompt.messages, text, reserve), tools=tuple(tools))

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


def row_values(sample: Sample) -> Mapping[str, Any]:
    """What the templates of a definition see of a sample."""
    return {"subset": sample.subset, **sample.row}


def _checked(position: Any, choices: Sequence[str], sample: Sample, where: str) -> int:
    if type(position) is int and 0 <= position < len(choices):
        return position
    raise DataError(
        f"{where}: sample {sample.id} has the gold position {position!r}, but its "
        f"{len(choices)} choices are counted from 0 to {len(choices) - 1}."
    )


def _strings(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise DataError(f"{where}: this field must yield a list of texts, not {value!r:.80}.")
    return tuple(value)


def _units(text: str) -> dict[str, int]:
    """Lengths as published word and byte perplexities count them: words are what whitespace separates."""
    import re

    return {"words": len(re.split(r"\s+", text)), "bytes": len(text.encode()), "characters": len(text)}
