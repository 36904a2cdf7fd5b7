"""The sources of Jinja2 templates, taken apart: as one expression, and with conditions that are known put in.

lm-eval renders every field to a text and guesses from the text what it is. Here a field has a type, so a template that
stands for a position or a list has to become an expression.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from evalharness.prompting.templates import environment

Tokens = Iterator[tuple[str, str]]
"""Kind and text of each; the texts together are the source."""
Decide = Callable[[str], bool | None]
"""Whether a name is defined; None where that is not known."""


class NoExpressionError(ValueError):
    """A template that is more than texts, values and conditions."""


def tokens(source: str) -> Tokens:
    """
    Raises:
        jinja2.TemplateSyntaxError: the source does not parse.
    """
    return ((kind, text) for _, kind, text in environment().lex(source))


def literal(text: str) -> str:
    """A text as an expression."""
    return json.dumps(text, ensure_ascii=False)


def constant(text: str) -> str:
    """A text as the template that renders to it."""
    return f"{{{{ {literal(text)} }}}}" if "{" in text else text


# --------------------------------------------------------------------------- as one expression


def expression(source: str) -> str:
    """The expression whose text is what the template renders to; of a template ``{{ E }}`` it is E, whatever its type.

    Raises:
        NoExpressionError: the template has a statement other than `if`.
    """
    return _concatenated(_parts(tokens(source), ())[0])


def _parts(stream: Tokens, ends: tuple[str, ...]) -> tuple[list[str], str, str]:
    """Expressions up to the statement that ends them, and that statement: its keyword and the rest."""
    parts: list[str] = []
    for kind, text in stream:
        if kind == "data" and text:
            parts.append(literal(text))
        elif kind == "variable_begin":
            parts.append(_until(stream, "variable_end"))
        elif kind == "comment_begin":
            _until(stream, "comment_end")
        elif kind == "block_begin":
            keyword, _, rest = _until(stream, "block_end").partition(" ")
            if keyword in ends:
                return parts, keyword, rest
            if keyword != "if":
                raise NoExpressionError(keyword)
            parts.append(_conditional(stream, rest))
    return parts, "", ""


def _conditional(stream: Tokens, condition: str) -> str:
    parts, keyword, rest = _parts(stream, ("elif", "else", "endif"))
    if keyword == "elif":
        otherwise = _conditional(stream, rest)
    else:
        otherwise = _concatenated(_parts(stream, ("endif",))[0] if keyword == "else" else [])
    return f"({_concatenated(parts)} if {condition} else {otherwise})"


def _until(stream: Tokens, end: str) -> str:
    found = []
    for kind, text in stream:
        if kind == end:
            break
        found.append(text)
    return "".join(found).strip()


def _concatenated(parts: list[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    return " ~ ".join(f"({part})" for part in parts) or '""'


# --------------------------------------------------------------------------- conditions that are known


def settled(source: str, decide: Decide) -> str:
    """The template with ``A if NAME is defined else B`` put as A or as B where that is known.

    What is left out may name columns that the rows do not have.
    """
    pieces: list[str] = []
    inside: list[tuple[str, str]] | None = None
    for kind, text in tokens(source):
        if kind == "variable_begin":
            inside = []
        elif kind == "variable_end" and inside is not None:
            pieces.append(_settled(inside, decide))
            inside = None
        elif inside is not None:
            inside.append((kind, text))
            continue
        pieces.append(text)
    return "".join(pieces)


def _settled(inside: list[tuple[str, str]], decide: Decide) -> str:
    at_if, at_else = _conditional_at(inside)
    if at_if is None:
        return _text(inside)
    condition = [text for kind, text in inside[at_if + 1 : at_else] if kind != "whitespace"]
    holds: bool | None = None
    if condition[1:] in (["is", "defined"], ["is", "not", "defined"]):
        known = decide(condition[0])
        holds = None if known is None else known == (len(condition) == 3)
    if holds is None:
        return _text(inside)
    if holds:
        return f" {_text(inside[:at_if]).strip()} "
    return f" {_text(inside[at_else + 1 :]).strip()} " if at_else is not None else ' "" '


def _conditional_at(inside: list[tuple[str, str]]) -> tuple[int | None, int | None]:
    """Places of the first ``if`` and its ``else`` outside of every bracket."""
    depth, at_if = 0, None
    for place, (kind, text) in enumerate(inside):
        if kind == "operator":
            depth += (text in "([{") - (text in ")]}")
        elif kind == "name" and depth == 0:
            if text == "if" and at_if is None:
                at_if = place
            elif text == "else" and at_if is not None:
                return at_if, place
    return at_if, None


def _text(inside: list[tuple[str, str]]) -> str:
    return "".join(text for _, text in inside)
