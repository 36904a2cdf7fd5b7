"""From the sentence of a definition that does not load to a finding with its field."""

from __future__ import annotations

import re

from evalharness.errors import EvalHarnessError
from evalharness.tasks.validate.findings import Fault

_PLACE = re.compile(
    r"^(?:\S*\.ya?ml)(?: with the changes on the command line)?(?::(?P<line>\d+)(?::\d+)?)?"
    r"(?:: protocols\.[\w-]+)?(?:: (?P<field>[a-z_]+[\w.\[\]-]*))?: (?P<sentence>.*)$",
    re.DOTALL,
)
_CHECKS = (
    ("unknown metric", "unknown_metric", "metrics"),
    ("unknown parser", "unknown_parser", "answer"),
    ("unknown judge", "unknown_judge", "judging"),
    ("but the section judging does not list it", "unlisted_judge", "metrics"),
    ("unknown method", "unknown_method", "elicitation.method"),
    ("unknown reducer", "unknown_reducer", "reducer"),
    ("unknown prompt template", "unknown_template", "prompt.template"),
    ("no such file", "missing_source", "data.file"),
    ("one source is needed", "missing_source", "data"),
    ("No filter named", "unknown_filter", ""),
    ("reaches for Python internals", "python_internals", ""),
    ("has no column", "unknown_column", ""),
    ("not valid YAML", "yaml", ""),
    ("unknown key", "unknown_key", ""),
    ("prompt.reasoned_answer is missing", "no_reasoned_answer", "prompt.reasoned_answer"),
    ("scores an answer, but nothing says how", "unknown_parser", "answer"),
)
"""A fragment of a sentence, the name of the check, and the field where the sentence names none."""


def fault_of(error: EvalHarnessError) -> tuple[Fault, int | None]:
    """The fault that an error tells, and the line that its sentence names."""
    text = str(error)
    place = _PLACE.match(text)
    field = (place["field"] if place else None) or ""
    sentence = place["sentence"] if place else text
    line = int(place["line"]) if place and place["line"] else None
    for fragment, check, usual in _CHECKS:
        if fragment in text:
            return Fault(check, field or usual, sentence), line
    return Fault("definition", field, sentence), line
