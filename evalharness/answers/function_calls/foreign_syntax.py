"""Calls in Java's and JavaScript's syntax, ``f(a=1, b="x")``, with every value as its source text.

Follows the decoding of BFCL v4 (`bfcl_eval.model_handler.parser`, release 2026.3.23): arguments are assignments, a text
loses the marks around it, whatever else is written stays as it is for the checker to convert by the declared type.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from evalharness.answers.function_calls.calls import FunctionCall, MalformedCall, NoCall
from evalharness.answers.function_calls.python_syntax import CALL_BEGINS, LONGEST
from evalharness.answers.function_calls.trees import syntax_tree, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

_SPOKEN = {"java": "Java", "javascript": "JavaScript"}
_CALL = {"java": "method_invocation", "javascript": "call_expression"}
_JAVASCRIPT_STATEMENTS = ("program", "expression_statement", "sequence_expression")
"""Where a call may stand that is no part of something else."""
_JAVA_TEXTS = ("string_literal", "character_literal")


def read_foreign(text: str, language: Literal["java", "javascript"]) -> list[FunctionCall]:
    """The calls of a text that is nothing but one, or several as statements; brackets around them are taken off.

    Raises:
        NoCall: there is none.
        MalformedCall: the text begins like a call and has an error in its syntax, or holds one that cannot be read.
    """
    source = text.strip("`\n ").removeprefix("[").removesuffix("]").strip()
    if not source:
        raise NoCall("the text is empty")
    refusal = MalformedCall if CALL_BEGINS.match(source) else NoCall
    if len(source) > LONGEST:
        raise refusal(f"the text has more than {LONGEST:,} characters")
    # Java's grammar takes a short call for an error where nothing ends the statement.
    root = syntax_tree(f"{source.removesuffix(';')};".encode("utf-8", "replace"), language)
    if root.has_error:
        raise refusal(f"the text has an error in its {_SPOKEN[language]} syntax")
    found = [_call(node, language, number) for number, node in enumerate(_invocations(root, language), start=1)]
    if not found:
        raise NoCall("the text calls nothing")
    return found


def _invocations(root: Node, language: str) -> Iterator[Node]:
    """The outermost calls, in order: those in the arguments of another stay there."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type == _CALL[language]:
            yield node
        elif language == "java" or node.type in _JAVASCRIPT_STATEMENTS:
            waiting += reversed(node.children)


def _call(node: Node, language: str, number: int) -> FunctionCall:
    arguments: dict[str, str] = {}
    positional: list[str] = []
    given = node.child_by_field_name("arguments")
    for child in given.named_children if given is not None else ():
        if child.type == "assignment_expression":
            name, value = child.children[0], child.children[-1]
            if text_of(name) in arguments:
                raise MalformedCall(f"call {number}: the argument '{text_of(name)}' is given twice")
            arguments[text_of(name)] = _value(value, language)
        elif not child.is_extra:  # a comment
            positional.append(_value(child, language))
    return FunctionCall(_name(node, language), arguments, tuple(positional))


def _name(node: Node, language: str) -> str:
    parts = [node.child_by_field_name(field) for field in ("object", "name", "function")]
    return ".".join(text_of(part) for part in parts if part is not None)


def _value(node: Node, language: str) -> str:
    text = text_of(node)
    if language == "java":
        marked = node.type in _JAVA_TEXTS
    else:
        marked = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if marked else text
