"""A converted task as the text of its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evalharness.errors import DiskError, UsageError
from evalharness.tasks.from_lm_eval.convert import Converted

NO_WRAPPING = 1 << 20
"""Characters of a line: a template that is broken over lines is hard to read."""


def text_of(converted: Converted) -> str:
    """YAML, with what was taken to be so as comments above it."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes an alias out as its value."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"' if "\n" in value else None)

    Dumper.add_representer(str, text)
    notes = "".join(f"# {note}\n" for note in converted.notes)
    definition = dict(converted.definition)
    return notes + yaml.dump(definition, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=NO_WRAPPING)


def write(converted: Converted, path: Path) -> None:
    """Write the task's file.

    Raises:
        UsageError: a file is there already.
        DiskError: the disk refuses.
    """
    if path.exists():
        raise UsageError(f"--to {path}: there already; remove it or name another file.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of(converted), encoding="utf-8")
    except OSError as error:
        raise DiskError(f"{path}: cannot be written: {error.strerror or error}.") from None
