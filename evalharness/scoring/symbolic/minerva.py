"""The normal form of answers to MATH that Minerva was scored by (Lewkowycz et al. 2022, arXiv:2206.14858, appendix D).

As lm-eval 0.4.13's minerva_math has it, which mends some of the published rules: unit words are taken out as words
first, and inside LaTeX commands never.
"""

from __future__ import annotations

import re

_REPLACED = (
    ("an ", ""),
    ("a ", ""),
    (".$", "$"),
    ("\\$", ""),
    ("\\ ", ""),
    (" ", ""),
    ("mbox", "text"),
    (",\\text{and}", ","),
    ("\\text{and}", ","),
    ("\\text{m}", "\\text{}"),
)
_WORDS = (
    "square",
    "ways",
    "integers",
    "dollars",
    "mph",
    "inches",
    "ft",
    "hours",
    "km",
    "units",
    "sue",
    "points",
    "feet",
    "minutes",
    "digits",
    "cents",
    "degrees",
    "cm",
    "gm",
    "pounds",
    "meters",
    "meals",
    "edges",
    "students",
    "childrentickets",
    "multiples",
)
_AFTER_UNITS = "\\ldots"
_MARKS = (
    "\\text{s}",
    "\\text{.}",
    "\\text{\ns}",
    "\\text{}^2",
    "\\text{}^3",
    "\\text{\n}",
    "\\text{}",
    "\\mathrm{th}",
    "^\\circ",
    "^{\\circ}",
    "\\;",
    ",\\!",
    "{,}",
    '"',
    "\\dots",
)
_REMOVED = (*_WORDS[: _WORDS.index("units") + 1], _AFTER_UNITS, *_WORDS[_WORDS.index("sue") :], *_MARKS)
"""In the order in which they go: an earlier one may leave a later one behind."""
_WHOLE_WORDS = tuple(re.compile(rf"(?<!\\)\b{word}\b") for word in _WORDS)
_COMMAND = re.compile(r"(\\[a-zA-Z]+)")
_UNWRAPPED = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(.*?)(\$)(.*?)(\$)(.*)", r"$\3$"),
        (r"(\\text\{)(.*?)(\})", r"\2"),
        (r"(\\textbf\{)(.*?)(\})", r"\2"),
        (r"(\\overline\{)(.*?)(\})", r"\2"),
        (r"(\\boxed\{)(.*)(\})", r"\2"),
        (r"(frac)([^{])(.)", r"frac{\2}{\3}"),
        (r"(sqrt)(\[[^\]]*\])(\w)", r"\1\2{\3}"),
        (r"(sqrt)(?!\[)([^{])", r"sqrt{\2}"),
    )
)
_THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+")


def normal_form(answer: str) -> str:
    """What is behind the last equals sign, without units, white space, wrappers and separators of thousands."""
    text = answer.rpartition("=")[2]
    for word in _WHOLE_WORDS:
        text = word.sub("", text)
    for before, after in _REPLACED:
        text = text.replace(before, after)
    for removed in _REMOVED:
        text = _outside_commands(text, removed) if removed.isalpha() else text.replace(removed, "")
    for pattern, replacement in _UNWRAPPED:
        text = pattern.sub(replacement, text)
    text = text.replace("$", "")
    return text.replace(",", "") if _THOUSANDS.fullmatch(text) else text


def _outside_commands(text: str, word: str) -> str:
    pieces = _COMMAND.split(text)
    pieces[::2] = [piece.replace(word, "") for piece in pieces[::2]]
    return "".join(pieces)
