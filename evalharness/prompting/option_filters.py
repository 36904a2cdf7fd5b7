"""Filters for data sets that hold several texts in one: options behind letters, passages behind numbers."""

from __future__ import annotations

import re


def lettered_texts(options: str) -> list[str]:
    r"""The texts of ``A. one\nB. two``, stripped. An option may run over several lines, since the next one begins where
    the next letter of the alphabet stands.

    Raises:
        ValueError: the text does not begin with ``A.``.
    """
    starts = []
    position = 0
    for letter in map(chr, range(ord("A"), ord("Z") + 1)):
        found = re.compile(rf"^{letter}\. ?", re.MULTILINE).search(options, position)
        if found is None:
            break
        starts.append(found)
        position = found.end()
    if not starts or options[: starts[0].start()].strip():
        raise ValueError(f"options are written as lines that begin with 'A.', 'B.' and so on, not as {options!r:.60}")
    ends = [*(start.start() for start in starts[1:]), len(options)]
    return [options[start.end() : end].strip() for start, end in zip(starts, ends, strict=True)]


def without_context_marks(passage: str) -> str:
    """A passage without ``Context (1): `` and so on at the beginnings of its lines."""
    return re.sub(r"^Context \(\d+\): ", "", passage, flags=re.MULTILINE)


def mathqa_options(options: str) -> list[str]:
    """The texts of MathQA's ``a ) 38 , b ) 27.5 , ..., e ) none``, found as lm-eval finds them."""
    return [each[4:].rstrip(" ,") for each in re.findall(r"[abcd] \) .*?, |e \) .*?$", options)]
