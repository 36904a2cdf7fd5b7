"""Constrained decoding: texts that follow a JSON schema or a regular expression, by the library llguidance."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from evalharness.stack.errors import GrammarError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from evalharness.stack.engine.requests import Constraint


class Grammars:
    """Makes constraints for one tokenizer. `eos_id` is the token that a text ends with when its grammar is fulfilled.

    Raises:
        ModuleNotFoundError: llguidance is not installed.
    """

    def __init__(self, tokenizer: Tokenizer, eos_id: int) -> None:
        import llguidance

        self._library: Any = llguidance
        self._tokenizer = llguidance.LLTokenizer(
            tokenizer.to_str(), n_vocab=tokenizer.get_vocab_size(), eos_token=eos_id
        )

    def json_schema(self, schema: str) -> Callable[[], Constraint]:
        """Texts that are JSON of this schema (itself JSON).

        Raises:
            GrammarError: the schema is not one, or uses what the library does not know.
        """
        return self._maker(self._library.LLMatcher.grammar_from_json_schema, schema)

    def regex(self, expression: str) -> Callable[[], Constraint]:
        """Texts that match a regular expression (Rust's dialect) from beginning to end.

        Raises:
            GrammarError: the expression is not one.
        """
        return self._maker(self._library.LLMatcher.grammar_from_regex, expression)

    def _maker(self, compile: Callable[[str], str], source: str) -> Callable[[], Constraint]:
        try:
            matcher = self._library.LLMatcher(self._tokenizer, compile(source))
        except ValueError as error:
            raise GrammarError(_first_line(str(error))) from None
        if matcher.is_error():
            raise GrammarError(_first_line(matcher.get_error()))
        return lambda: _Matching(matcher.deep_copy())


class _Matching:
    """One text on its way through a grammar."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    @property
    def error(self) -> str | None:
        return _first_line(self._matcher.get_error()) if self._matcher.is_error() else None

    def allowed(self, count: int) -> Tensor:
        allowed = torch.frombuffer(bytearray(self._matcher.compute_logit_bias()), dtype=torch.uint8) > 0
        return torch.nn.functional.pad(allowed, (0, count - len(allowed)))

    def push(self, id: int) -> None:
        self._matcher.consume_token(id)


def _first_line(told: str) -> str:
    return told.strip().splitlines()[0]
