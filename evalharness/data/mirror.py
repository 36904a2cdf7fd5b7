"""Data sets of the hub in a folder: ``<org>/<name>/<config>/<split>.jsonl.gz`` (layout in docs/data.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalharness.data.files import SUFFIXES, read_rows
from evalharness.data.options import DataOptions
from evalharness.data.split import Source, Split, make_split
from evalharness.data.unavailable import Unavailable
from evalharness.errors import DataError
from evalharness.hashing import sha256_file

DEFAULT_CONFIG = "default"


def load(options: DataOptions, split: str, config: str | None, root: Path) -> Split:
    """A split of a mirrored data set.

    Raises:
        Unavailable: the mirror lacks the data set, the configuration or the split.
        DataError: a file of the mirror is malformed.
    """
    path = locate(root, options, config, split)
    rows = read_rows(path)
    part = read_part(path.with_name(f"{split}.indices.json"))
    source = Source(
        kind="mirror",
        location=path.relative_to(root).as_posix(),
        split=split,
        config=config,
        sha256=sha256_file(path),
        n=len(rows),
        of=(part.source_rows if part else None) or options.rows.get(split) or (None if part else len(rows)),
    )
    return make_split(rows, part.indices if part else None, source)


def locate(root: Path, options: DataOptions, config: str | None, split: str) -> Path:
    """The file of a split.

    Raises:
        Unavailable: the mirror lacks the data set, the configuration or the split.
    """
    aliases, hub = _aliases(root), str(options.hub)
    mirrored = aliases.get("ids", {}).get(hub, options.mirror or hub)
    only_config = aliases.get("config_names", {}).get(mirrored, DEFAULT_CONFIG)
    # The only configuration of a data set goes by three names: none, "default", and the hub's own.
    one_and_only = config in (None, DEFAULT_CONFIG, only_config)
    configs = list(dict.fromkeys([DEFAULT_CONFIG, only_config])) if one_and_only else [str(config)]
    names = dict.fromkeys((hub, mirrored, options.mirror or hub))
    folders = [folder for name in names for c in configs if (folder := root / name / c).is_dir()]
    for folder in folders:
        for suffix in SUFFIXES:
            if (path := folder / f"{split}{suffix}").is_file():
                return path
    if not folders:
        raise Unavailable(f"the mirror {root} (no folder {mirrored}/{configs[0]})")
    raise Unavailable(f"the mirror {root} ({mirrored}/{folders[0].name} has no split '{split}')")


@dataclass(frozen=True, slots=True)
class Part:
    """Which original rows a mirror carries."""

    indices: list[int]
    source_rows: int | None
    """Rows of the original split; None where the file says only that it is a subset."""


def read_part(path: Path) -> Part | None:
    """What a file ``<split>.indices.json`` says; None where there is none.

    Raises:
        DataError: it says something else.
    """
    if not path.is_file():
        return None
    content = _read_json(path)
    indices, rows = content.get("indices"), content.get("source_rows")
    if not isinstance(indices, list) or not all(type(index) is int for index in indices):
        raise DataError(f"{path}: 'indices' must be the list of the rows' original positions.")
    if type(rows) is not int and rows != "subset":
        raise DataError(f"{path}: 'source_rows' must be the original number of rows, or \"subset\" if unknown.")
    return Part(indices, rows if isinstance(rows, int) else None)


def _aliases(root: Path) -> Mapping[str, Mapping[str, str]]:
    path = root / "ALIASES.json"
    return _read_json(path) if path.is_file() else {}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}).") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: must be one JSON object.")
    return content
