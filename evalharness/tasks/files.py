"""YAML files of tasks and suites: reading with places, merging protocols and settings."""

from __future__ import annotations

import fnmatch
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

from evalharness.errors import DataError, UsageError, nearest
from evalharness.registry import task_files


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        DataError: with file and line: not YAML, a key given twice, or no mapping at the top.
    """
    import yaml

    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_loader())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise DataError(f"{place}: not valid YAML: {error.problem or error.context}.") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, no such date, a number of too many digits
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{path}: not valid YAML: {reason}.") from None
    except RecursionError:
        raise DataError(f"{path}: nested too deeply; a definition has no more than {DEEPEST} levels.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None
    if not isinstance(values, dict):
        raise DataError(f"{path}:1: a definition is a mapping of keys to values, not {type(values).__name__}.")
    _bounded(values, path)
    return values


DEEPEST, LARGEST = 50, 1_000_000
"""Levels and values that a definition may have, its aliases written out."""


def _bounded(values: Any, path: Path) -> None:
    """Refuse what grows without end once it is read: a value inside itself, aliases of aliases of aliases.

    Raises:
        DataError: too deep or too large.
    """
    sizes: dict[int, int] = {}

    def size(value: Any, depth: int) -> int:
        if depth > DEEPEST:
            raise DataError(f"{path}: nested too deeply; a definition has no more than {DEEPEST} levels.")
        if not isinstance(value, dict | list):
            return 1
        if id(value) not in sizes:
            parts = [*value.values()] if isinstance(value, dict) else value
            sizes[id(value)] = 1 + sum(size(part, depth + 1) for part in parts)
        return sizes[id(value)]

    if (found := size(values, 0)) > LARGEST:
        raise DataError(f"{path}: its aliases stand for {found:,} values; a definition has at most {LARGEST:,}.")


def _loader() -> Any:
    """PyYAML's fast safe loader, which also refuses a key given twice."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    def mapping(loader: Any, node: Any) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue  # what "<<" brings in may be given again: that is how it is overridden
            key = loader.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # refused below
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' is given twice", key_node.start_mark
                )
            seen.add(key)
        loader.flatten_mapping(node)
        return dict(loader.construct_mapping(node, deep=True))

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    return Loader


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` merged key by key; null takes a key out, a list replaces a list."""
    result = dict(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def setting(assignment: str, option: str = "--set") -> dict[str, Any]:
    """``decode.temperature=0.7`` as ``{"decode": {"temperature": 0.7}}``; the value is read as YAML.

    Args:
        option: what it stands behind.

    Raises:
        UsageError: no ``=``, or an empty key.
    """
    import yaml

    key, equals, text = assignment.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        example = "--set decode.temperature=0.7" if option == "--set" else f"{option} name=value"
        raise UsageError(f"{option} {assignment}: write a key and a value, such as {example}.")
    try:
        value: Any = yaml.safe_load(text) if text else ""
    except yaml.YAMLError:
        value = text
    nested: dict[str, Any] = {parts[-1]: value}
    for part in reversed(parts[:-1]):
        nested = {part: nested}
    return nested


def find(pattern: str, include: Iterable[Path] = ()) -> list[tuple[str, Path]]:
    """Files of the tasks or suites that a name, a glob or a path means, sorted by name.

    Raises:
        UsageError: none fits; the nearest name is given.
    """
    if pattern.endswith((".yaml", ".yml")):
        path = Path(pattern)
        if not path.is_file():
            raise UsageError(f"--task {pattern}: no such file.")
        return [(path.stem, path)]
    files = task_files(include)
    # A name is written with underscores, and may be typed with hyphens.
    found = sorted(fnmatch.filter(files, pattern) or fnmatch.filter(files, pattern.replace("-", "_")))
    if not found:
        raise UsageError(f"unknown task '{pattern}'; {nearest(pattern, files)} (`evalharness tasks` lists them all)")
    return [(name, files[name]) for name in found]
