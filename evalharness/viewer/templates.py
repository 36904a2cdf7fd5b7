"""Templates of the pages, addresses, and numbers as pages show them."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from evalharness.pages.badges import badge_class
from evalharness.pages.controls import visible
from evalharness.pages.highlight import Highlighter
from evalharness.records.evidence import labels_of
from evalharness.viewer.diff import CHANGES
from evalharness.viewer.query import PAGE
from evalharness.viewer.transcript import answer_of, beginning, choices_of, scores_of, target_of, transcript
from evalharness.viewer.word_diff import word_diff

if TYPE_CHECKING:
    import jinja2

ASSETS = Path(__file__).parent / "assets"
HIGHLIGHTED = 200_000
"""Characters of programs and JSON that are highlighted on one page."""


def templates() -> jinja2.Environment:
    """The pages' templates with what they call."""
    import jinja2

    from evalharness.comparison import wording
    from evalharness.records.run import protocol_of

    environment = jinja2.Environment(
        # Everything that is put into a page is escaped; no template may say otherwise.
        autoescape=True,
        loader=jinja2.FileSystemLoader(ASSETS),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        url=url, transcript=transcript, choices_of=choices_of, target_of=target_of, answer_of=answer_of,
        scores_of=scores_of, beginning=beginning, word_diff=word_diff, wording=wording, CHANGES=CHANGES, PAGE=PAGE,
        badge_class=badge_class, counted_labels=lambda line: Counter(labels_of(line)),
        highlighter=lambda: Highlighter(HIGHLIGHTED),
    )  # fmt: skip
    environment.filters["visible"] = lambda text: visible(str(text))
    environment.filters["number"] = number
    environment.filters["counted"] = counted
    environment.filters["protocol"] = protocol_of
    environment.filters["when"] = lambda created: str(created)[:16].replace("T", " ")
    return environment


def counted(n: int, what: str) -> str:
    """``1 sample``, ``1,200 samples``."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def number(value: float | None) -> str:
    """Four significant digits; NaN is said, not hidden."""
    if value is None:
        return ""
    return "NaN" if math.isnan(value) else f"{value:.4g}"


def url(path: str, **parameters: Any) -> str:
    """An address; what is None is left out, a list is given several times."""
    given = {key: value for key, value in parameters.items() if value is not None}
    # A lone surrogate, which JSON can spell, may stand in an id.
    return f"{path}?{urlencode(given, doseq=True, errors='surrogatepass')}" if given else path
