"""Functions and right calls that the tests of this folder share."""

from __future__ import annotations

import json
from typing import Any


def document(name: str, required: list[str], **parameters: str | tuple[str, str]) -> dict[str, Any]:
    """A function; a parameter is its type, or that of a list with that of the items."""
    properties = {
        key: {"type": value} if isinstance(value, str) else {"type": value[0], "items": {"type": value[1]}}
        for key, value in parameters.items()
    }
    return {"name": name, "parameters": {"type": "dict", "properties": properties, "required": required}}


FORECAST = document("weather.forecast", ["town", "days"], town="string", days="integer", unit="string")
BOOK = document("book", ["guests"], guests="integer", outside="boolean", names=("array", "string"))
OSLO = {"weather.forecast": {"town": ["Oslo"], "days": [2], "unit": ["celsius", ""]}}
BERGEN = {"weather.forecast": {"town": ["Bergen", "Bergen, Norway"], "days": [2], "unit": ["celsius", ""]}}
TABLE = {"book": {"guests": [4], "outside": ["", False], "names": [""]}}


def target(*calls: dict[str, Any], functions: list[dict[str, Any]] | None = None) -> str:
    return json.dumps({"functions": functions or [FORECAST, BOOK], "ground_truth": list(calls)})
