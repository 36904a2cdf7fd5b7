"""The same calls have the same verdict by BFCL's own checker and by ours, but where a table says why not.

`DIFFERENT` has the rows whose ground truths BFCL's checker takes another way. How texts become calls is compared in
test_bfcl_texts.py.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest
from parity.bfcl_oracle import Oracle, shared_oracle
from parity.bfcl_rows import CHECKED, as_bfcl, language_of, parser_of, rows_of
from parity.mutated_calls import mutated

from evalharness.answers.function_calls.calls import from_json, to_json
from evalharness.scoring.function_calls.check import Rules, problem_of

pytest.importorskip("tree_sitter_java", reason="needs pip install 'evalharness[code]'")

MUTATED = 2_000

DIFFERENT = {
    "parallel_178": "Two of its four ground truths accept the day of another one too. BFCL gives each right call the "
    "first made one that fits, for good, so that the verdict depends on the order of the calls; here any complete "
    "assignment counts.",
    "simple_java_64": "Its ground truth gives a key one text in place of a list of right values. BFCL compares with "
    "each letter of it, so that the right mapping is wrong; here the text is the right value.",
}
"""Rows where what is right here may be wrong by BFCL, and why."""

GROUND_TRUTHS = {
    "simple_python": {(True, True): 400},
    "simple_java": {(True, True): 87, (False, True): 3, (False, False): 10},
    "simple_javascript": {(True, True): 50},
    "multiple": {(True, True): 200},
    "parallel": {(True, True): 200},
    "parallel_multiple": {(True, True): 200},
    "live_simple": {(True, True): 256, (False, False): 2},
    "live_multiple": {(True, True): 1051, (False, False): 2},
    "live_parallel": {(True, True): 16},
    "live_parallel_multiple": {(True, True): 24},
}
"""Rows by the verdicts (theirs, ours) on a right answer.

Wrong by both: in Java arrays of texts, and lists of any, whose quotation marks BFCL keeps; in live rows ground truths
that no call meets. Wrong by theirs alone: mappings in Java, whose bodies its decoder drops before they are checked.
"""


@pytest.fixture(scope="module")
def bfcl() -> Oracle:
    return shared_oracle()


@pytest.mark.parametrize("category", CHECKED)
def test_every_ground_truth(category: str, bfcl: Oracle) -> None:
    """Right answers, made of the ground truths: read and checked on both sides."""
    language, counts = language_of(category), Counter[tuple[bool, bool]]()
    for row in rows_of(category):
        assert row.right is not None
        calls = from_json(str(parser_of(language).parse(row.answer).value))
        ours = problem_of(calls, row.right, Rules(language=language)) is None
        truth, functions = row.row["ground_truth"], row.row["function"]
        read = bfcl.decoded(row.answer, language)
        theirs = read is not None and bfcl.verdict(functions, read, truth, language, category) is True
        if theirs != ours and row.row["id"] not in DIFFERENT:
            assert "new HashMap" in row.answer
            whole = [as_bfcl(call) for call in calls]
            assert bfcl.verdict(functions, whole, truth, language, category) is True
        counts[theirs, ours] += 1
    assert counts == GROUND_TRUTHS[category]


def test_two_thousand_mutated_calls(bfcl: Oracle) -> None:
    draw, counts, kinds = random.Random(20260323), Counter[tuple[bool | str, bool]](), Counter[str]()
    for number in range(MUTATED):
        category = list(CHECKED)[number % len(CHECKED)]
        language, row = language_of(category), draw.choice(rows_of(category))
        assert row.right is not None
        right = from_json(str(parser_of(language).parse(row.answer).value))
        calls = mutated(right, row.row, draw, language != "python")
        problem = problem_of(from_json(to_json(calls)), row.right, Rules(language=language))
        given = [as_bfcl(call) for call in calls]
        theirs = bfcl.verdict(row.row["function"], given, row.row["ground_truth"], language, category)
        if (theirs is True) != (problem is None):
            assert row.row["id"] in DIFFERENT, (row.row["id"], given, theirs, str(problem))
            assert problem is None
        counts[theirs, problem is None] += 1
        kinds["right" if problem is None else problem.kind] += 1
    assert counts.total() == MUTATED
    assert counts[True, True] > 400
    assert counts[False, False] > 1_000
    # Every way to be wrong but by position, which BFCL does not look at.
    assert set(kinds) == {
        "right",
        "wrong_count",
        "wrong_name",
        "missing_argument",
        "unknown_argument",
        "wrong_type",
        "wrong_value",
    }
