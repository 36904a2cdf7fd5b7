"""The reader of expressions: one recursive descent that works out values as it goes.

    expression := term (("+" | "-") term)*
    term       := signed (("*" | "/" | "//" | "%") signed)*
    signed     := ("+" | "-")* power
    power      := percent (("**" | "^") signed)?
    percent    := primary "%"*
    primary    := number | constant | function "(" expression ("," expression)* ")" | "(" expression ")"

Precedence is Python's: ``-2**2`` is -4, ``2**3**2`` is 512. A percent sign divides by 100 where no operand follows
(``20% * 50``) and is the remainder where one does (``7 % 3``). ``1,000`` is a thousand, but not among a function's
arguments.
"""

from __future__ import annotations

import re
from fractions import Fraction

from evalharness.tools.arithmetic.functions import CONSTANTS, FUNCTIONS, applied
from evalharness.tools.arithmetic.numbers import DIGITS, NoValueError, Number, bounded, calculated

LONGEST = 2_000
"""Characters of an expression."""
DEEPEST = 50
"""Levels of parentheses, and of powers in exponents; each takes some six Python frames."""

_ASCII = str.maketrans({"−": "-", "–": "-", "×": "*", "·": "*", "÷": "/"})
_SPACE = re.compile(r"\s*")
_DIGITS = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_EXPONENT = r"(?:[eE](?P<exponent>[-+]?[0-9]+))?"
_NUMBER = re.compile(rf"\$?(?P<digits>{_DIGITS}){_EXPONENT}")
_THOUSANDS = re.compile(rf"\$?(?P<digits>[0-9]{{1,3}}(?:,[0-9]{{3}})+(?![0-9])(?:\.[0-9]*)?){_EXPONENT}")
_NAME = re.compile(r"[^\W\d]\w*")
_OPERAND = re.compile(r"\s*[\w.($]")
_SIGN = re.compile(r"\s*[-+]")


class NotAnExpressionError(ValueError):
    """What is wrong with a text that is no expression, as one sentence for who wrote it."""


def evaluate(text: str) -> Number:
    """The value of an expression.

    An annotation of GSM8K (``<<48/2=24>>``) is worth what stands before its equals sign.

    Raises:
        NotAnExpressionError: the text is none, or is longer or deeper than what is read.
        NoValueError: it has no value, or one of too many digits.
    """
    if len(text) > LONGEST:
        raise NotAnExpressionError(f"the expression has more than {LONGEST:,} characters; work it out in parts.")
    left, _, right = text.strip().removeprefix("<<").removesuffix(">>").partition("=")
    return _Reader((left if left.strip() else right).translate(_ASCII)).whole()


class _Reader:
    """One reading of one expression, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._in_arguments = False

    def whole(self) -> Number:
        if not self._text.strip():
            raise NotAnExpressionError("the expression is empty; write one such as 48 / 2.")
        value = self._expression()
        if rest := self._rest():
            missing = "an operator is missing before" if _OPERAND.match(rest) else "nothing is known to begin with"
            raise self._wrong(f"{missing} '{rest[:12]}'")
        return value

    # ------------------------------------------------------------------------ the grammar

    def _expression(self) -> Number:
        value = self._term()
        while operator := self._taken("+", "-"):
            value = calculated(operator, value, self._term())
        return value

    def _term(self) -> Number:
        value = self._signed()
        while operator := self._taken("//", "/", "*", "%"):
            value = calculated(operator, value, self._signed())
        return value

    def _signed(self) -> Number:
        negative = False
        while sign := self._taken("+", "-"):
            negative ^= sign == "-"
        value = self._power()
        return -value if negative else value

    def _power(self) -> Number:
        base = self._percent()
        if not self._taken("**", "^"):
            return base
        self._deeper()
        exponent = self._signed()
        self._depth -= 1
        return calculated("**", base, exponent)

    def _percent(self) -> Number:
        value = self._primary()
        while self._rest().startswith("%") and not _OPERAND.match(self._text, self._at + 1):
            if _SIGN.match(self._text, self._at + 1):
                raise self._wrong("'%' before a sign is a remainder or a percentage: write 7 % (-3), or (20%) - 5")
            self._at += 1
            value = calculated("/", value, Fraction(100))
        return value

    def _primary(self) -> Number:
        rest = self._rest()
        if number := (not self._in_arguments and _THOUSANDS.match(rest)) or _NUMBER.match(rest):
            self._at += number.end()
            return _number(number["digits"], int(number["exponent"] or 0))
        if name := _NAME.match(rest):
            self._at += name.end()
            return self._named(name[0])
        if self._taken("("):
            return self._parenthesised(arguments=False)[0]
        found = f"'{rest[:12]}'" if rest else "the end"
        raise self._wrong(f"a number, a name or '(' is missing before {found}")

    def _named(self, name: str) -> Number:
        known = name.lower()
        if known in CONSTANTS:
            return CONSTANTS[known]
        if known not in FUNCTIONS:
            self._at -= len(name)
            raise self._wrong(f"the name '{name[:40]}' is unknown; known are {', '.join([*FUNCTIONS, *CONSTANTS])}")
        if not self._taken("("):
            raise self._wrong(f"'(' is missing behind {known}")
        return applied(known, self._parenthesised(arguments=True))

    def _parenthesised(self, *, arguments: bool) -> list[Number]:
        """The values up to the closing parenthesis: one, or a function's arguments."""
        self._deeper()
        outside, self._in_arguments = self._in_arguments, arguments
        values = [self._expression()]
        while arguments and self._taken(","):
            values.append(self._expression())
        if not self._taken(")"):
            raise self._wrong("')' is missing")
        self._in_arguments = outside
        self._depth -= 1
        return values

    # ------------------------------------------------------------------------ the text

    def _rest(self) -> str:
        """What is still to be read, from its first character that is no space."""
        space = _SPACE.match(self._text, self._at)
        assert space is not None  # it matches the empty text
        self._at = space.end()
        return self._text[self._at :]

    def _taken(self, *signs: str) -> str | None:
        """The first of the signs that stands here, which is then read."""
        rest = self._rest()
        for sign in signs:
            if rest.startswith(sign) and not (sign == "*" and rest.startswith("**")):
                self._at += len(sign)
                return sign
        return None

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise NotAnExpressionError(f"the expression is nested deeper than {DEEPEST} levels; work it out in parts.")

    def _wrong(self, what: str) -> NotAnExpressionError:
        return NotAnExpressionError(f"at character {self._at + 1} of the expression {what}.")


def _number(digits: str, exponent: int) -> Number:
    if abs(exponent) > DIGITS:
        raise NoValueError(f"the exponent {exponent} is too large.")
    return bounded(Fraction(digits.replace(",", "").rstrip(".")) * Fraction(10) ** exponent)
