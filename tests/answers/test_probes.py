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

TABLE: dict[str, tuple[object, int, tuple[str | None, ...]]] = {
    "boolean": ("boolean", 1, (None, "yes", "no", None, "yes")),
    "boxed": ("boxed", 1, (None, None, "x^{2} = -7", None, None)),
    "choice": ("choice", 1, (None, "B", None, None, None)),
    "lm_eval": (
        {
            "parser": "lm_eval",
            "filters": [{"function": "regex", "regex_pattern": r"\d[\d,.]*"}, {"function": "take_first"}],
        },
        1,
        ("1,018", "3", "2", None, "18.50"),
    ),
    "number": ("number", 1, ("1018", "0.75", "-7", None, "17")),
    "regex": ({"parser": "regex", "pattern": r"\d+"}, 1, ("018", "4", "7", None, "17")),
    "span": ("span", 1, ("1,018", "(B) 3/4", "x^{2} = -7", "Nothing to see", "18.50 dollars, not $17, true")),
    "text": ("text", 1, tuple(probe.strip() for probe in PROBES)),
}


def test_every_parser_is_probed() -> None:
    assert sorted(TABLE) == names("parser")


@pytest.mark.parametrize("name", TABLE)
def test_a_parser_reads_what_its_version_has_always_read(name: str) -> None:
    spec, version, values = TABLE[name]
    parser = build_parser(spec, "probe")  # type: ignore[arg-type]
    assert (parser.version, tuple(parser.parse(probe).value for probe in PROBES)) == (version, values)
