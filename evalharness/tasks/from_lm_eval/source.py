"""A task of lm-eval on its way into one of ours: its keys, a row to look at, and what cannot be carried."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from evalharness.errors import DataError
from evalharness.prompting.templates import Template
from evalharness.tasks.from_lm_eval.templates import NoExpressionError, expression, literal, settled

Row = Mapping[str, Any]
Kind = Literal["position", "text", "list"]
"""What a field says: a position among the choices, a text, or several of either."""


@dataclass(frozen=True, slots=True)
class Source:
    """The task's keys, and what is found out about them."""

    values: Mapping[str, Any]
    row: Row | None = None
    """A row of the evaluated split. lm-eval decides by it what its fields mean; None where none is at hand."""
    reasons: list[str] = field(default_factory=list)
    """A sentence for each thing that cannot be carried."""
    notes: list[str] = field(default_factory=list)
    """What was taken to be so, because no row was there to see it."""

    def refuse(self, key: str, why: str) -> None:
        self.reasons.append(f"{key}: {why}.")

    def get(self, key: str, otherwise: Any = None) -> Any:
        """The key's value; null is as good as no key."""
        value = self.values.get(key)
        return otherwise if value is None else value

    @property
    def fewshot(self) -> Mapping[str, Any]:
        """``fewshot_config``: what differs for demonstrations."""
        config = self.get("fewshot_config", {})
        return config if isinstance(config, dict) else {}

    @property
    def samples(self) -> Sequence[Row]:
        """Demonstrations that the task file holds. A split takes their place, as it does in lm-eval."""
        samples = self.fewshot.get("samples")
        if self.fewshot_split or not isinstance(samples, list):
            return []
        return [row for row in samples if isinstance(row, dict)]

    @property
    def fewshot_split(self) -> str | None:
        found: str | None = self.fewshot.get("split") or self.get("fewshot_split")
        return found

    @property
    def test_split(self) -> str | None:
        found: str | None = self.get("test_split")
        return found

    # ----------------------------------------------------------------- fields

    def is_column(self, value: Any) -> bool:
        """Whether a field's text is the name of a column: lm-eval looks whether the evaluated rows have one."""
        if not isinstance(value, str) or not value:
            return False
        return value.isidentifier() if self.row is None else value in self.row

    def template(self, key: str, value: Any, *rows: Row | None) -> str:
        """A field as a text template of ours.

        Args:
            rows: one of each kind of rows that it is rendered on.
        """
        if not isinstance(value, str | int):
            self.refuse(key, f"a text or a column is expected, not {value!r:.60}")
            return ""
        if isinstance(value, int):
            return str(value)
        return f"{{{{ {self._column(key, value)} }}}}" if self.is_column(value) else self._checked(key, value, rows)

    def expression(self, key: str, value: Any, *rows: Row | None) -> str:
        """A field as an expression of ours, without its braces."""
        if isinstance(value, int):
            return str(int(value))
        if isinstance(value, list):
            return f"[{', '.join(literal(str(each)) for each in value)}]"
        if not isinstance(value, str):
            self.refuse(key, f"a text, a column or a list is expected, not {value!r:.60}")
            return '""'
        if self.is_column(value):
            return self._column(key, value)
        try:
            return expression(self._checked(key, value, rows))
        except NoExpressionError as statement:
            self.refuse(key, f"the template has the statement '{statement}', and this field takes one expression here")
            return '""'

    def _column(self, key: str, name: str) -> str:
        if not name.isidentifier():
            self.refuse(key, f"the column '{name}' has a name that no template can say")
            return '""'
        if self.row is None:
            self.notes.append(f"{key}: '{name}' is taken to be a column.")
        return name

    def _checked(self, key: str, source: str, rows: Sequence[Row | None]) -> str:
        """The template, after looking whether ours can read it: a filter of lm-eval's own is unknown here."""
        try:
            Template(source, key)
        except DataError as error:
            self.reasons.append(str(error))
            return ""

        def defined(name: str) -> bool | None:
            # Of rows that are not at hand it is taken that they have what they are asked for.
            known = {row is None or name in row for row in rows}
            return known.pop() if len(known) == 1 else None

        return settled(source, defined)

    # ----------------------------------------------------------------- kinds

    def kind(self, value: Any, row: Row | None) -> Kind | None:
        """What a field is on a row; None where there is no row to see it on."""
        if isinstance(value, int):
            return "position"
        if row is None or not isinstance(value, str):
            return None
        try:
            said = self._said(value, row)
        except (DataError, KeyError):  # the row lacks a column: told when the task is tried on it
            return None
        return "list" if isinstance(said, list) else "position" if isinstance(said, int) else "text"

    def _said(self, value: str, row: Row) -> Any:
        """What lm-eval makes of a field on a row: a column's value, else the rendered text, read as a number where the
        task has choices, or as a list where it looks like one."""
        if self.is_column(value):
            return row[value]
        text = Template(value, "a field")(row)
        if text.isdigit() and self.get("doc_to_choice") is not None:
            return int(text)
        if len(text) > 1 and text[0] == "[" and text[-1] == "]":
            try:
                return ast.literal_eval(text)
            except (SyntaxError, ValueError):
                return text
        return text
