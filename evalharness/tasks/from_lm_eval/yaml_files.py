"""lm-eval's task files: `include` chains put together, `!function` found and never called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evalharness.errors import DataError


class Function(str):
    """What stands behind ``!function``: the name of code, which is read here and never run."""

    __slots__ = ()


def read_lm_eval_yaml(path: Path) -> dict[str, Any]:
    """The keys of a task file over those of the files that it includes, as lm-eval puts them together.

    Raises:
        DataError: a file is not there or not YAML, holds no mapping, or includes itself.
    """
    return _read(path, ())


def _read(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in above:
        raise DataError(f"{path}: its include leads back to itself; take one of these lines out.")
    own = _parsed(path)
    includes = own.pop("include", None) or []
    merged: dict[str, Any] = {}
    for name in includes if isinstance(includes, list) else [includes]:
        if not isinstance(name, str):
            raise DataError(f"{path}: include: names files, not {name!r:.60}.")
        inherited = _read(path.parent / name, (*above, path.resolve()))
        inherited.pop("task_list", None)  # lists the tasks of the included file alone
        merged.update(inherited)
    return merged | own


def _parsed(path: Path) -> dict[str, Any]:
    import yaml

    try:
        values = yaml.load(path.read_bytes(), Loader=_loader())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise DataError(f"{place}: not valid YAML: {error.problem or error.context}.") from None
    except (yaml.YAMLError, ValueError) as error:
        raise DataError(f"{path}: not valid YAML: {str(error).splitlines()[0].rstrip('.')}.") from None
    except RecursionError:
        raise DataError(f"{path}: nested too deeply to be a task.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise DataError(f"{path}: a task of lm-eval is a mapping of names to values.")
    return values


def _loader() -> Any:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    Loader.add_constructor("!function", lambda loader, node: Function(loader.construct_scalar(node)))
    return Loader


def functions(values: Mapping[str, Any]) -> dict[str, Function]:
    """The keys below which a function is named, each with the first name."""
    found = {key: next(_functions(value, set()), None) for key, value in values.items()}
    return {key: function for key, function in found.items() if function is not None}


def _functions(value: Any, seen: set[int]) -> Iterator[Function]:
    if isinstance(value, Function):
        yield value
    elif isinstance(value, dict | list) and id(value) not in seen:  # an alias stands for the same value again
        seen.add(id(value))
        for part in value.values() if isinstance(value, dict) else value:
            yield from _functions(part, seen)
