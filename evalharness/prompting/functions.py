"""Functions that a model may call, from how data sets write them to how chat templates and servers are told of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalharness.errors import DataError
from evalharness.types import ToolSchema

NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}


def function_schemas(documents: Any, where: str) -> tuple[ToolSchema, ...]:
    """The functions of a list of documents, each ``{name, description, parameters}`` or that as ``function`` of
    ``{type: function, function: {...}}``.

    Raises:
        DataError: no such list, or two functions of one name.
    """
    if not isinstance(documents, list | tuple):
        raise DataError(f"{where}: this field must yield a list of functions, not {documents!r:.80}.")
    schemas = tuple(_schema(document, f"{where}: function {number}") for number, document in enumerate(documents))
    names = [schema.name for schema in schemas]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{where}: two functions are named '{name}'; a call could mean either.")
    return schemas


def openai_tool(schema: ToolSchema) -> dict[str, Any]:
    """A function as OpenAI's protocol and the chat templates of transformers have it."""
    function = {"name": schema.name, "description": schema.description, "parameters": dict(schema.parameters)}
    return {"type": "function", "function": function}


def _schema(document: Any, where: str) -> ToolSchema:
    inner = document.get("function", document) if isinstance(document, Mapping) else document
    if not isinstance(inner, Mapping) or not isinstance(inner.get("name"), str):
        raise DataError(f"{where}: write {{name, description, parameters}}, not {document!r:.80}.")
    parameters = inner.get("parameters") or NO_PARAMETERS
    if not isinstance(parameters, Mapping) or parameters.get("type", "object") != "object":
        raise DataError(f"{where}: the parameters of {inner['name']} must be a JSON schema of an object.")
    return ToolSchema(
        name=inner["name"],
        description=str(inner.get("description") or ""),
        parameters={"type": "object", **parameters},
    )
