"""A fault that was found, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["fault", "declared", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong."""

    check: str
    """Name of the check, as `known_defects` may name it."""
    path: str
    line: int
    """Line of the field in the file; 1 where the file does not have it."""
    field: str
    """Dotted: ``prompt.question``."""
    protocol: str
    sentence: str
    """What is wrong, and what would be right."""
    severity: Severity = "fault"
    """A declared defect passes, and so does a note."""

    def __str__(self) -> str:
        """For people: ``own.yaml:7: prompt.question: ... [unknown_column]``."""
        place = f"{self.path}:{self.line}: {self.field}" if self.field else f"{self.path}:{self.line}"
        before = "" if self.severity == "fault" else f"{self.severity}: "
        of = "" if self.protocol == "default" else f" (protocol {self.protocol})"
        return f"{before}{place}: {self.sentence} [{self.check}]{of}"


@dataclass(frozen=True, slots=True)
class Fault:
    """What a check says; its place in the file is added to it."""

    check: str
    field: str
    sentence: str
    severity: Severity = "fault"
