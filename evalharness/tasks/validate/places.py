"""The line of a field in a YAML file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Places:
    """Lines of every key of a file; empty for a file that is not YAML."""

    def __init__(self, path: Path) -> None:
        import yaml

        self._lines: dict[tuple[str, ...], int] = {}
        try:
            node = yaml.compose(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            self._collect(node, ())
        except (yaml.YAMLError, OSError, ValueError, RecursionError):
            return

    def _collect(self, node: Any, at: tuple[str, ...]) -> None:
        import yaml

        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                place = (*at, str(key.value))
                self._lines[place] = key.start_mark.line + 1
                self._collect(value, place)
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                self._lines[(*at, str(number))] = value.start_mark.line + 1
                self._collect(value, (*at, str(number)))

    def line(self, field: str, protocol: str = "default") -> int:
        """Line of a dotted field: where the protocol gives it, else where the file does, else of its nearest parent."""
        parts = re.findall(r"[^.\[\]]+", field)
        own = self._nearest(["protocols", protocol, *parts], least=3)
        return own or self._nearest(parts, least=1) or self._nearest(["protocols", protocol], least=2) or 1

    def _nearest(self, parts: Sequence[str], least: int) -> int | None:
        """Line of the longest beginning of the path that the file has, of at least so many parts."""
        for length in range(len(parts), least - 1, -1):
            if (line := self._lines.get(tuple(parts[:length]))) is not None:
                return line
        return None
