"""What a target must say."""

from __future__ import annotations

import json

import pytest
from scoring.function_calls.rows import BOOK, FORECAST, OSLO, document, target

from evalharness.errors import DataError
from evalharness.scoring.function_calls.reference import Parameter, right_calls


def test_a_target_is_read() -> None:
    right = right_calls(target(OSLO))
    assert list(right.functions) == ["weather.forecast", "book"]
    assert right.functions["book"].parameters["names"] == Parameter("array", "string")
    assert right.calls[0].function.required == ("town", "days")
    assert right.calls[0].values["unit"] == ["celsius", ""]


def test_of_two_documents_of_one_name_the_first_counts() -> None:
    other = document("book", [], guests="string")
    assert right_calls(target(functions=[BOOK, other])).functions["book"].required == ("guests",)


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("cat", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"functions": []}', "'ground_truth'"),
        (target({"book": {"guests": 4}}), "has an argument without a list of right values"),
        (target({"cancel": {}}), "calls 'cancel', which no document describes"),
        (target({}), "not enough values"),
        (json.dumps({"functions": [{"name": "f"}], "ground_truth": []}), "'parameters'"),
        (
            json.dumps({"functions": [{"name": "f", "parameters": {"properties": {"a": {}}}}], "ground_truth": []}),
            "'type'",
        ),
        (json.dumps({"functions": [FORECAST], "ground_truth": [[1]]}), "has no attribute"),
    ],
)
def test_a_target_that_says_something_else(text: str, clause: str) -> None:
    with pytest.raises(DataError, match="does not say what calls are right") as refused:
        right_calls(text)
    assert clause in str(refused.value)
    assert "\n" not in str(refused.value)
