"""Base of every section of a YAML file: typed, frozen, and strict about unknown keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from evalharness.errors import DataError, nearest

T = TypeVar("T", bound=BaseModel)


class Options(BaseModel):
    """A section of a definition. Each package subclasses it for the section that it owns."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True)


def parse_options(model: type[T], values: Any, where: str) -> T:
    """Validate `values` as `model`.

    Raises:
        DataError: one sentence with the place (`where` and the field), what was wrong and, for an unknown
            key, the nearest known one.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise DataError(f"{where}: {describe(error, model, values)}") from None


def describe(error: ValidationError, model: type[BaseModel], values: Any = None) -> str:
    """The first fault of a validation as a clause: ``prompt.templte: unknown key, did you mean 'template'?``.

    An unknown key goes before a missing one: it is most often that one, misspelled. `values` are what was validated,
    for sections that are of a kind which they name.
    """
    faults = error.errors()
    fault = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{place}: unknown key; {nearest(str(fault['loc'][-1]), _fields_at(model, fault['loc'][:-1], values))}"
    if fault["type"] == "missing":
        return f"{place}: this key is required but missing."
    message = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return f"{place}: {message}" if place else message
    return f"{place}: {message}, not {_short(fault['input'])}."


def _fields_at(model: type[BaseModel], path: tuple[int | str, ...], values: Any) -> list[str]:
    """Names of the fields of the model that `path` leads to, where it can be followed; else none."""
    current: Any = model
    mapping = False
    for part in path:
        values = _part(values, part)
        if isinstance(part, int) or mapping:
            mapping = False  # an item of a list or mapping, whose model is at hand already
            continue
        field = getattr(current, "model_fields", {}).get(part)
        if field is None:
            return []
        kinds = (getattr(getattr(data, "func", None), "kind", None) for data in field.metadata)
        named = next((kind(values) for kind in kinds if kind is not None), None)
        current = named or next(_models_in(field.annotation), None)
        mapping = get_origin(field.annotation) is dict
    return list(getattr(current, "model_fields", {}))


def _part(values: Any, part: int | str) -> Any:
    """What lies at a key or an index; None where there is nothing."""
    try:
        return values[part]
    except (KeyError, IndexError, TypeError):
        return None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a type is made of, from the outside in."""
    if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
