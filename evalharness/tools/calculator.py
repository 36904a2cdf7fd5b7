"""The tool ``calculator``: one expression, its value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalharness.options import Options
from evalharness.tools.arithmetic.functions import CONSTANTS, FUNCTIONS
from evalharness.tools.arithmetic.numbers import NoValueError, is_short, written
from evalharness.tools.arithmetic.reader import NotAnExpressionError, evaluate
from evalharness.tools.base import Resources, Result, Tool
from evalharness.types import ToolSchema


class Calculator(Tool):
    """Works an expression out by rules of its own (`tools.arithmetic`): nothing that is written is ever executed.

    A text that is no expression has the status ``invalid``, one without a value (a division by zero) ``error``. A
    result that is rational and is not written in full keeps its fraction in the details.
    """

    schema = ToolSchema(
        name="calculator",
        description="Works out one arithmetic expression, exactly where that is possible.",
        parameters={
            "type": "object",
            "properties": {
                "expression": {
                    "type": "string",
                    "description": "Such as (48 / 2 + 3) * 20%. Operators: + - * / // % ** and parentheses. "
                    f"Functions: {', '.join(FUNCTIONS)}. Constants: {', '.join(CONSTANTS)}.",
                }
            },
            "required": ["expression"],
            "additionalProperties": False,
        },
    )

    def __init__(self, options: Options, resources: Resources) -> None:
        """It needs neither."""

    async def act(self, arguments: Mapping[str, Any]) -> Result:
        try:
            value = evaluate(arguments["expression"])
        except NotAnExpressionError as error:
            return Result(text=str(error), status="invalid")
        except NoValueError as error:
            return Result(text=str(error), status="error")
        exact = {} if isinstance(value, float) or is_short(value) else {"exact": str(value)}
        return Result(text=written(value), details=exact)
