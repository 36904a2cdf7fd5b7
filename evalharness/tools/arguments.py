"""Whether a model's arguments fit a tool's JSON schema, said so that the model can mend them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from evalharness.errors import nearest
from evalharness.hashing import canonical_json
from evalharness.types import ToolSchema

SHOWN = 60
"""Characters of a wrong value that are told."""


class ArgumentsError(ValueError):
    """Arguments that do not fit, as one sentence for the model that gave them."""


def checked(schema: ToolSchema, arguments: Mapping[str, Any] | str) -> dict[str, Any]:
    """The arguments as an object that fits the schema.

    Args:
        arguments: an object, or its JSON, as native function calls bring it; an empty text is an empty object.

    Raises:
        ArgumentsError: they are no JSON object, or do not fit; it says which argument, and what would be right.
    """
    values = _parsed(schema, arguments) if isinstance(arguments, str) else dict(arguments)
    errors = list(_validator(canonical_json(schema.parameters)).iter_errors(values))
    if errors:
        raise ArgumentsError(f"{schema.name}: {_sentence(_first(errors))}")
    return values


def _parsed(schema: ToolSchema, text: str) -> dict[str, Any]:
    try:
        values = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ArgumentsError(f"{schema.name}: the arguments are not JSON: {error}.") from None
    if not isinstance(values, dict):
        raise ArgumentsError(f"{schema.name}: the arguments must be a JSON object, not {_short(values)}.")
    return values


@lru_cache(maxsize=256)
def _validator(parameters: str) -> Any:
    from jsonschema import Draft202012Validator
    from referencing import Registry

    # A registry of one's own: without it a reference to an address would be fetched.
    return Draft202012Validator(json.loads(parameters), registry=Registry())


def _first(errors: Sequence[Any]) -> Any:
    """The error to tell: an unknown argument goes before a missing one, since it is most often that one, misspelled."""
    from jsonschema.exceptions import best_match

    unknown = next((error for error in errors if error.validator == "additionalProperties"), None)
    return unknown or best_match(errors)


def _sentence(error: Any) -> str:
    """What is wrong by the rule that is broken; jsonschema's own words for the rarer ones."""
    place = ".".join(str(part) for part in error.absolute_path)
    argument = f"the argument '{place}'"
    known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
    match error.validator:
        case "required":
            missing = next(name for name in error.validator_value if name not in error.instance)
            inside = f" of '{place}'" if place else ""
            return f"the argument '{missing}'{inside} is missing{_described(known.get(missing))}."
        case "additionalProperties" if known:
            extra = next(name for name in error.instance if name not in known)
            return f"there is no argument '{extra}'; {nearest(str(extra), known)}"
        case "type":
            return f"{argument} must be {_type(error.validator_value)}, not {_short(error.instance)}."
        case "enum":
            values = ", ".join(_short(value) for value in error.validator_value)
            return f"{argument} must be one of {values}, not {_short(error.instance)}."
    return f"{argument if place else 'the arguments'}: {error.message.rstrip('.')}."


def _described(schema: Any) -> str:
    if not isinstance(schema, Mapping) or "type" not in schema:
        return ""
    described = f" ({schema['description'].rstrip('.')})" if schema.get("description") else ""
    return f"; it must be {_type(schema['type'])}{described}"


def _type(name: Any) -> str:
    names = name if isinstance(name, list) else [name]
    return " or ".join(f"an {one}" if str(one)[0] in "aio" else f"a {one}" for one in names)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
