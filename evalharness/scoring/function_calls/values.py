"""Whether the value of an argument is right: by its type, then by one of the values that are.

The rules are those of BFCL v4 (`bfcl_eval.eval_checker.ast_eval.ast_checker`, release 2026.3.23):

- the type must be the declared one; a whole number serves as a float, a list as a tuple, and a text as `any`;
- where the right values are of another type than the declared one, they are names of variables, and that type serves;
- items of a list are looked at one level deep;
- texts are compared without ``spaces , . / - _ * ^``, in lower case, with one kind of quotation mark;
- lists item by item, in order; mappings key by key, a key may be missing where "" is among its right values;
- anything else is compared as Python compares: True is 1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from evalharness.answers.function_calls.calls import FunctionCall
from evalharness.errors import DataError, nearest
from evalharness.scoring.function_calls.java_values import java_value
from evalharness.scoring.function_calls.javascript_values import javascript_value
from evalharness.scoring.function_calls.reference import Parameter

Language = Literal["python", "java", "javascript"]

_TYPES: dict[Language, dict[str, type]] = {
    "python": {
        "string": str,
        "integer": int,
        "float": float,
        "boolean": bool,
        "array": list,
        "tuple": list,
        "dict": dict,
        "any": str,
    },
    "java": {
        "byte": int,
        "short": int,
        "integer": int,
        "long": int,
        "float": float,
        "double": float,
        "boolean": bool,
        "char": str,
        "String": str,
        "Array": list,
        "ArrayList": list,
        "HashMap": dict,
        "any": str,
    },
    "javascript": {
        "String": str,
        "integer": int,
        "Bigint": int,
        "float": float,
        "Boolean": bool,
        "array": list,
        "dict": dict,
        "any": str,
    },
}
"""What a declared type is in Python."""
_LISTS = ("array", "tuple", "Array", "ArrayList")
_CONVERT: dict[Language, Callable[[str, str, str | None], Any]] = {"java": java_value, "javascript": javascript_value}

_IGNORED = str.maketrans("", "", " ,./-_*^")

Kind = Literal["wrong_type", "wrong_value"]
Refusal = tuple[Kind, str]
"""What is wrong with a value: the kind, and a clause that begins with the value."""


@dataclass(frozen=True, slots=True)
class _Types:
    """A declared type in Python."""

    name: str
    outer: type
    item: type | None


def refused(value: Any, right: Sequence[Any], parameter: Parameter, language: Language) -> Refusal | None:
    """Why a value is none of the right ones; None where it is.

    Raises:
        DataError: the parameter is declared with a type that the language's rules do not know.
    """
    types = _types(parameter, language)
    if language != "python":
        if not isinstance(value, str):
            return "wrong_type", f"{shown(value)} is no source text, as {_SPOKEN[language]} values are compared"
        try:
            value = _CONVERT[language](value, parameter.type, parameter.item)
        except ValueError:
            return "wrong_type", f"{shown(value)} has thousands of digits"
    elif types.name == "tuple" and isinstance(value, tuple):
        value = list(value)
    elif types.name == "float" and type(value) is int:
        value = _as_float(value)
    spoken = _spoken_type(right)
    variable = spoken is not None and spoken is not types.outer
    if type(value) is types.outer:
        if types.item is not None and not any(_items_fit(value, answer, types.item) for answer in right):
            return "wrong_type", f"{shown(value)} holds other items than {parameter.item} ones"
    elif type(value) is not spoken:
        return "wrong_type", f"{shown(value)} is of the type {_name(value)}, not {types.name}"
    else:
        variable = True
    return _different(value, right, types, variable)


def shown(value: Any) -> str:
    """A value in a sentence, short."""
    if isinstance(value, FunctionCall):
        return f"a call of {value.name}"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_SPOKEN = {"java": "Java", "javascript": "JavaScript"}


def _types(parameter: Parameter, language: Language) -> _Types:
    known = _TYPES[language]
    listed = parameter.type in _LISTS
    for name in (parameter.type, parameter.item) if listed else (parameter.type,):
        if name not in known:
            raise DataError(
                f"a function document declares the type '{name}', which the rules for {language} do not know; "
                f"{nearest(str(name), known)}"
            )
    return _Types(parameter.type, known[parameter.type], known[str(parameter.item)] if listed else None)


def _as_float(value: int) -> Any:
    try:
        return float(value)
    except OverflowError:
        return value


def _name(value: Any) -> str:
    return "call" if isinstance(value, FunctionCall) else type(value).__name__


def _spoken_type(right: Sequence[Any]) -> type | None:
    """The type of the right values, by the first of them; None where there is none but "may be left out"."""
    return next((type(answer) for answer in right if answer != ""), None)


def _items_fit(value: Any, answer: Any, item: type) -> bool:
    """Whether the items have the declared type, or that of the right list's. An answer that is no list forgives all."""
    if not isinstance(answer, list):
        return True
    spoken = _spoken_type(answer)
    return all(type(each) is item or type(each) is spoken for each in value)


def _different(value: Any, right: Sequence[Any], types: _Types, variable: bool) -> Refusal | None:
    """Why a value of the right type is none of the right ones."""
    if variable or types.outer not in (str, list, dict):
        same = value in right
    elif types.outer is str:
        same = standardized(value) in [standardized(answer) for answer in right if isinstance(answer, str)]
    elif types.outer is dict:
        return _no_mapping_fits(value, right)
    elif types.item is dict:
        return _no_list_of_mappings_fits(value, right)
    else:
        same = _standardized_items(value) in [
            _standardized_items(answer) for answer in right if isinstance(answer, list | str)
        ]
    return None if same else ("wrong_value", f"{shown(value)} is {_none_of(right)}")


def standardized(text: str) -> str:
    """A text as it is compared."""
    return text.translate(_IGNORED).lower().replace("'", '"')


def _standardized_items(values: Sequence[Any]) -> list[Any]:
    return [standardized(value) if isinstance(value, str) else value for value in values]


def _no_mapping_fits(value: Mapping[Any, Any], right: Sequence[Any]) -> Refusal | None:
    refusal: Refusal = ("wrong_value", f"{shown(value)} is {_none_of(right)}")
    for answer in right:
        if isinstance(answer, dict):
            clause = _mapping_refused(value, answer)
            if clause is None:
                return None
            refusal = ("wrong_value", clause)
    return refusal


def _mapping_refused(value: Mapping[Any, Any], answer: Mapping[str, Any]) -> str | None:
    for key, each in value.items():
        if key not in answer:
            return f"{shown(value)} has the key {shown(key)}, which no right one has"
        options = _options(answer[key])
        if (standardized(each) if isinstance(each, str) else each) not in _standardized_items(options):
            return f"at the key {shown(key)} {shown(each)} is {_none_of(options)}"
    for key in answer:
        if key not in value and "" not in _options(answer[key]):
            return f"{shown(value)} lacks the key {shown(key)}"
    return None


def _options(values: Any) -> Sequence[Any]:
    """The right values at a key, as BFCL lists them."""
    return values if isinstance(values, list) else [values]


def _no_list_of_mappings_fits(value: Sequence[Any], right: Sequence[Any]) -> Refusal | None:
    refusal: Refusal = ("wrong_value", f"{shown(value)} is {_none_of(right)}")
    for answer in right:
        if not isinstance(answer, list | str) or len(value) != len(answer):
            continue
        refusals = [_entry_refused(each, wanted) for each, wanted in zip(value, answer, strict=True)]
        wrong = next((each for each in refusals if each is not None), None)
        if wrong is None:
            return None
        refusal = wrong
    return refusal


def _entry_refused(value: Any, wanted: Any) -> Refusal | None:
    if not isinstance(value, dict):
        return "wrong_type", f"{shown(value)} is of the type {_name(value)}, not dict"
    return _no_mapping_fits(value, [wanted])


def _none_of(right: Sequence[Any]) -> str:
    """``none of "celsius", "C"``."""
    options = [shown(answer) for answer in right if answer != ""]
    if not options:
        return "not right: nothing may be given here"
    listed = ", ".join(options[:5]) + (", ..." if len(options) > 5 else "")
    return f"none of {listed}" if len(options) > 1 else f"not {listed}"
