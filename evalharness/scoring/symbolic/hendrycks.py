"""The string rules by which the authors of MATH compare two answers (Hendrycks et al. 2021, arXiv:2103.03874).

As lm-eval 0.4's hendrycks_math has them: spaces, units on the right, degrees, percent signs and `left` and `right` go;
fractions and roots get their braces; nothing is computed.
"""

from __future__ import annotations

_DELETED = ("\n", "\\!")
_UNIT = "\\text{ "
_FORMS = (
    ("\\\\", "\\"),
    ("tfrac", "frac"),
    ("dfrac", "frac"),
    ("\\left", ""),
    ("\\right", ""),
    ("^{\\circ}", ""),
    ("^\\circ", ""),
    ("\\$", ""),
)


def equal(one: str, other: str) -> bool:
    """Whether both have one form; where the rules fail on either, whether they are the same text."""
    try:
        return form(one) == form(other)
    except ValueError:
        return one == other


def form(text: str) -> str:
    """What the rules make of an answer.

    Raises:
        ValueError: they have no answer: to a fraction of anything but whole numbers, a command at the text's end, two
            units.
    """
    for deleted in _DELETED:
        text = text.replace(deleted, "")
    for before, after in _FORMS:
        text = text.replace(before, after)
    text = _without_unit(text).replace("\\%", "")
    text = text.replace(" .", " 0.").replace("{.", "{0.")
    if not text:
        return text
    if text[0] == ".":
        text = "0" + text
    name, equals, value = text.partition("=")
    if equals and "=" not in value and len(name) <= 2:
        text = value
    text = _fractions(_roots(text).replace(" ", ""))
    return _slash("\\frac{1}{2}" if text == "0.5" else text)


def _without_unit(text: str) -> str:
    quantity, *units = text.split(_UNIT)
    if len(units) > 1:
        raise ValueError("two units")
    return quantity


def _roots(text: str) -> str:
    r"""``\sqrt3`` as ``\sqrt{3}``."""
    head, *tails = text.split("\\sqrt")
    if "" in tails:
        raise ValueError("a root of nothing")
    return head + "".join("\\sqrt" + (tail if tail[0] == "{" else f"{{{tail[0]}}}{tail[1:]}") for tail in tails)


def _fractions(text: str) -> str:
    r"""``\frac12`` and ``\frac1{2}`` as ``\frac{1}{2}``; the text as it is where one of them is cut short."""
    head, *tails = text.split("\\frac")
    found = [head]
    for tail in tails:
        if not tail:
            raise ValueError("a fraction of nothing")
        if tail[0] != "{":
            if len(tail) < 2:
                return text
            over, under, rest = tail[0], tail[1], tail[2:]
            tail = f"{{{over}}}{under}{rest}" if under == "{" else f"{{{over}}}{{{under}}}{rest}"
        found.append("\\frac" + tail)
    return "".join(found)


def _slash(text: str) -> str:
    r"""``1/2`` as ``\frac{1}{2}``."""
    parts = text.split("/")
    if len(parts) != 2:
        return text
    over, under = int(parts[0]), int(parts[1])
    return f"\\frac{{{over}}}{{{under}}}" if text == f"{over}/{under}" else text
