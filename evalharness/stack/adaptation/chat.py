"""From a conversation to token ids, and which of them are learned: the assistant's answers and what ends them.

A template is asked for the text up to where an answer begins and for the text up to its end; both must be beginnings of
the whole. The same holds of token ids: if what the tokenizer makes of a beginning were not how the ids of the whole
begin, a model that is asked would read other tokens than it was trained on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalharness.chat_templates import ChatTemplateError, render_template
from evalharness.stack.adaptation.conversations import ANSWERS, Conversation, Turn
from evalharness.stack.errors import TrainingError
from evalharness.stack.tokenization.text import TextTokenizer

LONGEST_SHOWN = 20
"""Characters of a text that a message shows."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A conversation of S tokens."""

    where: str
    ids_S: NDArray[np.int64]
    learned_S: NDArray[np.bool_]
    """The tokens of answers, and those that end them."""

    def __len__(self) -> int:
        return len(self.ids_S)

    @property
    def learned(self) -> int:
        """How many tokens can be learned: not the first, before which there is nothing."""
        return int(self.learned_S[1:].sum())

    def cut(self, length: int) -> Encoded:
        """Its first tokens."""
        return Encoded(self.where, self.ids_S[:length], self.learned_S[:length])


class ChatEncoder:
    """Encodes conversations by one template.

    Args:
        template: of jinja2.
        answers: which of the assistant's messages are learned.
    """

    def __init__(self, tokenizer: TextTokenizer, template: str, answers: Literal["all", "last"] = "all") -> None:
        self.tokenizer = tokenizer
        self._template, self._answers = template, answers
        added = tokenizer.tokenizer.get_added_tokens_decoder().values()
        self._special = {token.content for token in added if token.special} | set(tokenizer.special_tokens.values())

    def __call__(self, conversation: Conversation) -> Encoded:
        """Token ids with their mask.

        Raises:
            TrainingError: the template refuses the conversation, or shows an answer otherwise when more follows; tokens
                span the border of an answer; nothing is learned.
        """
        where, turns = conversation.where, conversation.turns
        whole = self._text(turns, where, asks=False)
        ids_S = np.array(self.tokenizer.encode(whole), dtype=np.int64)
        learned_S = np.zeros(len(ids_S), dtype=np.bool_)
        for number, begin, end in self._spans(turns, whole, where):
            first, last = (self._tokens_before(place, whole, ids_S, f"{where}: message {number}")
                           for place in (begin, end))  # fmt: skip
            learned_S[first:last] = True
        found = Encoded(where, ids_S, learned_S)
        if not found.learned:
            raise TrainingError(f"{where}: no token of it is learned: the template shows no answer.")
        return found

    def _spans(self, turns: Sequence[Turn], whole: str, where: str) -> Iterator[tuple[int, int, int]]:
        """The number of each message that is learned, and where in the text it begins and ends."""
        answers = [place for place, turn in enumerate(turns) if turn.role == ANSWERS]
        for place in answers if self._answers == "all" else answers[-1:]:
            before = self._text(turns[:place], where, asks=True)
            until = whole if place == len(turns) - 1 else self._text(turns[: place + 1], where, asks=False)
            if not (whole.startswith(until) and until.startswith(before)):
                more = ", or learn the last answer only (objective.answers: last)" if place != answers[-1] else ""
                raise TrainingError(
                    f"{where}: message {place + 1}: the chat template shows the answer otherwise once it is given, or "
                    f"once more follows; take another template{more}."
                )
            yield place + 1, len(before), self._end(until, len(before), turns[place].content.strip())

    def _end(self, text: str, begin: int, content: str) -> int:
        """Where the token that ends the answer ends: the last special one behind its content; what follows it, such as
        a line's end, a model that is asked never says. Without such a token all of the rest is learned."""
        found = text.find(content, begin)
        behind = begin if found < 0 else found + len(content)
        ends = [place + len(token) for token in self._special if (place := text.rfind(token, behind)) >= 0]
        return max(ends, default=len(text))

    def _tokens_before(self, place: int, whole: str, ids_S: NDArray[np.int64], where: str) -> int:
        before = self.tokenizer.encode(whole[:place])
        if not np.array_equal(ids_S[: len(before)], before):
            shown = whole[max(0, place - LONGEST_SHOWN) : place], whole[place : place + LONGEST_SHOWN]
            raise TrainingError(
                f"{where}: the tokenizer joins {shown[0]!r} and {shown[1]!r} to other tokens than it makes of each, so "
                "that what is learned begins inside a token; move the space or line end between them to the other side."
            )
        return len(before)

    def _text(self, turns: Sequence[Turn], where: str, *, asks: bool) -> str:
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            return render_template(self._template, messages, self.tokenizer.special_tokens, asks=asks)
        except ChatTemplateError as error:
            raise TrainingError(f"{where}: the chat template {error}") from None
