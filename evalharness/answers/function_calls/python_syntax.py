"""Calls in Python's syntax, ``[f(a=1), g()]``: read from the syntax tree, and nothing in them is ever run.

Follows the decoding of BFCL v4 (`bfcl_eval.model_handler.utils`, release 2026.3.23): the whole text is the list, its
brackets may be missing, a bare name is its own text, a call without named arguments stands for its source. Where BFCL
calls `eval` on arithmetic, literals are computed here (docs/function-calls.md says what differs).
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from evalharness.answers.function_calls.calls import LARGEST_BITS, FunctionCall, MalformedCall, NoCall

LONGEST = 100_000
"""Characters of a list of calls; Python's parser takes seconds and hundreds of megabytes for a longer text."""
_DEEPEST = 100
"""Open brackets; more could exhaust the C stack of a thread."""

CALL_BEGINS = re.compile(r"\[*\s*[^\W\d][\w.]*\(")
"""How a text begins that was meant for a list of calls."""
_BRACKETS = re.compile(r"[()\[\]{}]")

_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}


def read_python(text: str) -> list[FunctionCall]:
    """The calls of a text that is nothing but a list of them.

    Raises:
        NoCall: the text is something else.
        MalformedCall: it begins like a list of calls, or holds a call that cannot be read.
    """
    source = text.strip("`\n ")
    if not source:
        raise NoCall("the text is empty")
    begins = CALL_BEGINS.match(source) is not None
    opening, closing = "" if source.startswith("[") else "[", "" if source.endswith("]") else "]"
    elements = _elements(opening + source + closing, begins)
    if elements and not begins and not any(isinstance(element, ast.Call) for element in elements):
        raise NoCall("the text is a list of something else than calls")
    return [_call(element, number) for number, element in enumerate(elements, start=1)]


def _elements(source: str, begins: bool) -> Sequence[ast.expr]:
    """The elements of the list that `source` is; `begins` says whether it was meant for a list of calls."""
    try:
        return _parsed_list(source)
    except MalformedCall:
        if begins:
            raise
        raise NoCall("the text is no list of calls in Python's syntax") from None


def _parsed_list(source: str) -> Sequence[ast.expr]:
    if len(source) > LONGEST:
        raise MalformedCall(f"the text has more than {LONGEST:,} characters")
    if _depth(source) > _DEEPEST:
        raise MalformedCall(f"the text has more than {_DEEPEST} brackets open at once")
    try:
        with warnings.catch_warnings():  # "invalid escape sequence" is the model's matter
            warnings.simplefilter("ignore")
            body = ast.parse(source, mode="eval").body
    except SyntaxError as error:
        raise MalformedCall(f"Python cannot parse the text: {error.msg}") from None
    except (RecursionError, MemoryError):
        raise MalformedCall("Python cannot parse the text: it is nested too deeply") from None
    except ValueError as error:  # null bytes, lone surrogates
        raise MalformedCall(f"Python cannot parse the text: {error}") from None
    if not isinstance(body, ast.List):
        raise MalformedCall("the text is no single list of calls")
    return body.elts


def _depth(source: str) -> int:
    """The most brackets that are open at once, those in texts included."""
    most = now = 0
    for found in _BRACKETS.finditer(source):
        now += 1 if found[0] in "([{" else -1
        most = max(most, now)
    return most


def _call(element: ast.expr, number: int) -> FunctionCall:
    if not isinstance(element, ast.Call):
        raise MalformedCall(f"element {number} of the list is no call")
    try:
        return _read_call(element)
    except MalformedCall as error:
        raise MalformedCall(f"call {number}: {error}") from None
    except RecursionError:
        raise MalformedCall(f"call {number}: its arguments are nested too deeply") from None


def _read_call(node: ast.Call) -> FunctionCall:
    arguments: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise MalformedCall("it unpacks a mapping with **")
        if keyword.arg in arguments:
            raise MalformedCall(f"the argument '{keyword.arg}' is given twice")
        arguments[keyword.arg] = _value(keyword.value)
    return FunctionCall(_name(node.func), arguments, tuple(map(_positional, node.args)))


def _name(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise MalformedCall("what is called is no name")
    return ".".join([node.id, *reversed(parts)])


def _positional(node: ast.expr) -> Any:
    try:
        return _value(node)
    except MalformedCall:  # BFCL does not look at it, so it spoils nothing
        return ast.unparse(node)


def _value(node: ast.expr | None) -> Any:
    match node:
        case ast.Constant():
            return "..." if node.value is Ellipsis else node.value
        case ast.Name():
            return node.id
        case ast.List():
            return [_value(element) for element in node.elts]
        case ast.Tuple():
            return tuple(_value(element) for element in node.elts)
        case ast.Dict():
            return _mapping(node)
        case ast.UnaryOp():
            return _computed(_UNARY.get(type(node.op)), _value(node.operand))
        case ast.BinOp():
            return _computed(_BINARY.get(type(node.op)), _value(node.left), _value(node.right))
        case ast.Call():
            return _read_call(node) if node.keywords else ast.unparse(node)
        case ast.Subscript():
            return f"{ast.unparse(node.value)}[{ast.unparse(node.slice)}]"
    raise MalformedCall(f"an argument is no literal ({type(node).__name__})")


def _mapping(node: ast.Dict) -> dict[Any, Any]:
    try:
        return {_value(key): _value(value) for key, value in zip(node.keys, node.values, strict=True)}
    except TypeError:
        raise MalformedCall("a key of a mapping is a list or a mapping") from None


def _computed(function: Callable[..., Any] | None, *operands: Any) -> Any:
    """A result of arithmetic on literals, where it stays small; texts and lists may be joined."""
    numbers = all(isinstance(operand, int | float | complex) for operand in operands)
    joined = function is operator.add and all(isinstance(operand, str | list | tuple) for operand in operands)
    if function is None or not (numbers or joined) or (function is operator.pow and _bits(*operands) > LARGEST_BITS):
        raise MalformedCall("an argument is an expression, not a literal")
    try:
        return function(*operands)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise MalformedCall(f"an argument cannot be computed: {error}") from None


def _bits(base: complex, exponent: complex) -> float:
    """An upper bound of the bits of a power of whole numbers."""
    return base.bit_length() * abs(exponent) if isinstance(base, int) and isinstance(exponent, int) else 0
