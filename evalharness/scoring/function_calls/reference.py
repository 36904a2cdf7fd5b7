"""What the right calls are, out of a sample's reference: documents of functions, and the values that each argument may
have.

The target is JSON, ``{"functions": [...], "ground_truth": [...]}``. A function is documented as in BFCL: a name and
``parameters`` with ``properties`` (each with a ``type``, a list's with ``items.type``) and ``required``. The ground
truth is a list of ``{name: {argument: [value, ...]}}``, any of whose values is right; "" among them says that the
argument may be left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from evalharness.errors import DataError


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared parameter."""

    type: str
    item: str | None
    """Type of the items, of a list."""


@dataclass(frozen=True, slots=True)
class Function:
    """A documented function."""

    name: str
    parameters: Mapping[str, Parameter]
    required: Sequence[str]


@dataclass(frozen=True, slots=True)
class RightCall:
    """A call that must be made."""

    function: Function
    values: Mapping[str, Sequence[Any]]
    """For each argument the values that are right."""


@dataclass(frozen=True, slots=True)
class RightCalls:
    """What a sample asks for."""

    functions: Mapping[str, Function]
    """By name; of two documents with one name the first, as in BFCL."""
    calls: Sequence[RightCall]


@lru_cache(maxsize=64)
def right_calls(target: str) -> RightCalls:
    """Read a target; the repeats of a sample share the result.

    Raises:
        DataError: it is no JSON of the shape above, or its ground truth calls a function that has no document.
    """
    try:
        content = json.loads(target)
        functions: dict[str, Function] = {}
        for document in content["functions"]:
            functions.setdefault(document["name"], _function(document))
        return RightCalls(functions, [_right_call(entry, functions) for entry in content["ground_truth"]])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(
            f"the target {target[:60]!r} does not say what calls are right ({type(error).__name__}: {error}); it must "
            "be the JSON of {functions: [...], ground_truth: [...]} in BFCL's shape."
        ) from None


def _function(document: Mapping[str, Any]) -> Function:
    parameters = document["parameters"]
    declared = {
        name: Parameter(each["type"], each.get("items", {}).get("type"))
        for name, each in parameters.get("properties", {}).items()
    }
    return Function(document["name"], declared, tuple(parameters.get("required", ())))


def _right_call(entry: Mapping[str, Mapping[str, Sequence[Any]]], functions: Mapping[str, Function]) -> RightCall:
    ((name, values),) = entry.items()
    if name not in functions:
        raise ValueError(f"the ground truth calls '{name}', which no document describes")
    if not all(isinstance(each, list) for each in values.values()):
        raise ValueError(f"the ground truth of '{name}' has an argument without a list of right values")
    return RightCall(functions[name], values)
