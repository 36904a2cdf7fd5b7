"""Functions as data sets write them become schemas as servers and chat templates want them."""

from __future__ import annotations

from typing import Any

import pytest

from evalharness.errors import DataError
from evalharness.prompting.functions import function_schemas, openai_tool

ADD = {
    "name": "math.add",
    "description": "Adds.",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}


@pytest.mark.parametrize("document", [ADD, {"type": "function", "function": ADD}])
def test_both_forms_are_one_function(document: dict[str, Any]) -> None:
    (schema,) = function_schemas([document], "t")
    assert (schema.name, schema.description, schema.parameters) == ("math.add", "Adds.", ADD["parameters"])
    assert openai_tool(schema) == {"type": "function", "function": ADD}


@pytest.mark.parametrize("parameters", [{}, None])
def test_a_function_may_have_no_parameters(parameters: Any) -> None:
    (schema,) = function_schemas([{"name": "stop", "parameters": parameters}], "t")
    assert schema.parameters == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("documents", "told"),
    [
        ("f", "t: this field must yield a list of functions, not 'f'."),
        ([3], "t: function 0: write {name, description, parameters}, not 3."),
        (
            [ADD, {"description": "x"}],
            "t: function 1: write {name, description, parameters}, not {'description': 'x'}.",
        ),
        ([{"name": "f", "parameters": "x"}], "t: function 0: the parameters of f must be a JSON schema of an object."),
        ([{"name": "f", "parameters": {"type": "dict"}}], "the parameters of f must be a JSON schema of an object."),
        ([ADD, ADD], "t: two functions are named 'math.add'; a call could mean either."),
    ],
)
def test_what_is_no_function_is_one_sentence(documents: Any, told: str) -> None:
    with pytest.raises(DataError) as caught:
        function_schemas(documents, "t")
    assert told in str(caught.value)
