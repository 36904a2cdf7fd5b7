"""What every parser makes of the same texts. The version is part of the protocols' hashes.

A change of a value here is a change of scores: raise the parser's `version`, and then this table.
"""

import pytest

from evalharness.answers.base import build_parser
from evalharness.registry import names

PROBES = (
    "#### 1,018",
    "The answer is (B) 3/4.\nSo yes.",
    'False: \\boxed{x^{2} = -7} is "it"',
    "Nothing to see",
    "  18.50 dollars, not $17, true",
)

CALLS = (
    "[math.add(a=1, b=(2.5, 'x')), stop()]",
    '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>',
    "Thought: I add.\nAction: add\nAction Input: {'a': 1}\nObservation: ",
    'add(a=1L, b=new int[]{1, 2}, c="x")',
    "add(a=1, a=2)",
)

FORMS: dict[str, tuple[str | None, ...]] = {
    "auto": (
        '[{"arguments":{"a":1,"b":{"$tuple":[2.5,"x"]}},"name":"math.add"},{"arguments":{},"name":"stop"}]',
        '[{"arguments":{"a":1},"name":"add"}]',
        '[{"arguments":{"a":1},"name":"add"}]',
        None,
        None,
    ),
    "python": (
        '[{"arguments":{"a":1,"b":{"$tuple":[2.5,"x"]}},"name":"math.add"},{"arguments":{},"name":"stop"}]',
        *4 * [None],
    ),
    "json": (None, '[{"arguments":{"a":1},"name":"add"}]', None, None, None),
    "react": (None, None, '[{"arguments":{"a":1},"name":"add"}]', None, None),
    "java": (*3 * [None], '[{"arguments":{"a":"1L","b":"new int[]{1, 2}","c":"x"},"name":"add"}]', None),
    "javascript": (
        '[{"arguments":{"a":"1","b":"(2.5, \'x\')"},"name":"math.add"},{"arguments":{},"name":"stop"}]',
        *4 * [None],
    ),
}
"""Of the parser function_call, version 1: what each form finds in `CALLS`."""

TABLE: dict[str, tuple[object, int, tuple[str | None, ...]]] = {
    "api_call": ("api_call", 1, tuple(probe.strip() for probe in PROBES)),
    "boolean": ("boolean", 2, (None, "yes", "no", None, "yes")),
    "boxed": ("boxed", 1, (None, None, "x^{2} = -7", None, None)),
    "choice": ("choice", 2, (None, "B", None, None, None)),
    "code": ("code", 1, PROBES),
    "function_call": ("function_call", 1, 5 * (None,)),
    "lm_eval": (
        {
            "parser": "lm_eval",
            "filters": [{"function": "regex", "regex_pattern": r"\d[\d,.]*"}, {"function": "take_first"}],
        },
        1,
        ("1,018", "3", "2", None, "18.50"),
    ),
    "number": ("number", 1, ("1018", "0.75", "-7", None, "17")),
    "rating": ("rating", 1, 5 * (None,)),
    "regex": ({"parser": "regex", "pattern": r"\d+"}, 1, ("018", "4", "7", None, "17")),
    "span": ("span", 1, ("1,018", "(B) 3/4", "x^{2} = -7", "Nothing to see", "18.50 dollars, not $17, true")),
    "text": ("text", 1, tuple(probe.strip() for probe in PROBES)),
    "verdict": ({"parser": "verdict", "labels": ["yes", "true", "nothing"]}, 1, (None, "yes", None, "nothing", "true")),
}


def test_every_parser_is_probed() -> None:
    assert sorted(TABLE) == names("parser")


@pytest.mark.parametrize("name", TABLE)
def test_a_parser_reads_what_its_version_has_always_read(name: str) -> None:
    spec, version, values = TABLE[name]
    parser = build_parser(spec, "probe")  # type: ignore[arg-type]
    assert (parser.version, tuple(parser.parse(probe).value for probe in PROBES)) == (version, values)


@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_calls_is_read_as_it_always_was(form: str) -> None:
    parser = build_parser({"parser": "function_call", "form": form}, "probe")
    assert (parser.version, tuple(parser.parse(call).value for call in CALLS)) == (1, FORMS[form])
