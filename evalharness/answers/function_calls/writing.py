"""Calls written out in the syntax that a model is asked for: demonstrations, and right answers to check a task with.

The counterpart of the readers beside this file. For Java and JavaScript a value is spelled as its declared type wants
it, the way BFCL v4 converts it back; a text that is no literal there (a variable, an expression) stands as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from evalharness.answers.function_calls.calls import FunctionCall

Language = Literal["python", "java", "javascript"]
Types = Mapping[str, Mapping[str, Any]]
"""The declared parameters of a function, as its document has them below ``parameters.properties``."""

_VARIABLE = re.compile(r"[^\W\d][\w.]*")
_JAVA_ITEMS = {
    "integer": "int",
    "long": "long",
    "float": "float",
    "double": "double",
    "boolean": "boolean",
    "char": "char",
    "String": "String",
}


def write_calls(calls: Sequence[FunctionCall], language: Language, types: Mapping[str, Types] | None = None) -> str:
    """``[f(a=1), g(b="x")]``.

    Args:
        types: the parameters of each function, by its name; Python needs none.
    """
    write = _WRITERS[language]
    return f"[{', '.join(_written(call, write, (types or {}).get(call.name, {})) for call in calls)}]"


def _written(call: FunctionCall, write: Callable[[Any, str, str], str], types: Types) -> str:
    arguments = [write(value, "", "") for value in call.positional]
    for name, value in call.arguments.items():
        declared = types.get(name, {})
        arguments.append(f"{name}={write(value, declared.get('type', ''), declared.get('items', {}).get('type', ''))}")
    return f"{call.name}({', '.join(arguments)})"


def _python(value: Any, declared: str, item: str) -> str:
    return repr(value)


def _java(value: Any, declared: str, item: str) -> str:
    match value:
        case str():
            return _text(value, declared)
        case bool():
            return str(value).lower()
        case int() if declared == "long":
            return f"{value}L"
        case float() if declared == "float":
            return f"{value}f"
        case list():
            items = ", ".join(_java(each, item if item in _JAVA_ITEMS else "String", "") for each in value)
            if declared == "Array":
                return f"new {_JAVA_ITEMS.get(item, 'Object')}[]{{{items}}}"
            return f"new ArrayList<>(Arrays.asList({items}))"
        case dict():
            puts = "".join(f'put("{key}", {_java(each, "String", "")}); ' for key, each in value.items())
            return f"new HashMap<String, Object>() {{{{ {puts}}}}}"
    return str(value)


def _javascript(value: Any, declared: str, item: str) -> str:
    if isinstance(value, str):
        return _text(value, declared)
    return f"{value}n" if declared == "Bigint" else json.dumps(value, ensure_ascii=False)


def _text(text: str, declared: str) -> str:
    """A text between marks, with nothing escaped: BFCL takes what stands between them as it is."""
    bare = '"' in text or (declared != "String" and _VARIABLE.fullmatch(text))
    return text if bare else f'"{text}"'


_WRITERS: dict[Language, Callable[[Any, str, str], str]] = {"python": _python, "java": _java, "javascript": _javascript}
