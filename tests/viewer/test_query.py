"""What a query finds, held against a plain reading of the journal."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from evidence_for_tests import judged, tool_use, verdict
from hypothesis import given, settings
from hypothesis import strategies as st
from viewer.made import foreign, line

from evalharness.errors import UsageError
from evalharness.records.encode import FLAGS
from evalharness.records.evidence import labels_of
from evalharness.records.journal import read_samples
from evalharness.records.strict_json import one_line
from evalharness.viewer.query import OUTCOMES, SORTS, Query, query_of, rows_of
from evalharness.viewer.reader import Journal

TEXTS = st.sampled_from(
    ["no", "\nothing", 'He said "No"', "a\\b", "ÄÖ ü", "scores", "prompt", "x\u2028y", "\ud800", "7"]
)
LABELS = st.lists(st.sampled_from(["pass", "fail", "timeout", "tie"]), max_size=3)
SCORES = st.sampled_from([0.0, 0.25, 1.0, math.nan, None])
MADE = st.builds(
    line,
    id=st.sampled_from(["1", "2", "10", "b/3", "b/20", "Ü"]),
    score=SCORES,
    prompt=TEXTS,
    said=TEXTS,
    subset=st.sampled_from([None, "one", "two"]),
    flags=st.lists(st.sampled_from(["unparsed", "truncated", "empty", "cut"]), unique=True),
)
FORGED = tool_use("web", judge="x", candidate=0, label="tie", verdicts=[verdict("tie")])
"""Arguments of a model's own making that look like a verdict."""


def with_verdicts(made: dict[str, Any], labels: list[str], tools: bool) -> dict[str, Any]:
    program = 'print({"judge":"execution","candidate":0,"label":"fail"})'
    verdicts = [verdict(label, candidate=place, program=program) for place, label in enumerate(labels)]
    return judged(made, verdicts, [FORGED] if tools else []) if made["repeats"] else made


LINES = st.lists(st.builds(with_verdicts, MADE, LABELS, st.booleans()), max_size=12)
QUERIES = st.builds(
    Query,
    outcome=st.sampled_from(OUTCOMES),
    flags=st.lists(st.sampled_from(FLAGS), unique=True, max_size=2).map(tuple),
    verdicts=st.lists(st.sampled_from(["pass", "timeout", "tie"]), unique=True, max_size=2).map(sorted).map(tuple),
    subset=st.sampled_from([None, None, "one"]),
    low=st.sampled_from([None, None, 0.0, 0.2]),
    high=st.sampled_from([None, None, 0.25, 1.0]),
    text=st.one_of(st.just(""), TEXTS, st.sampled_from(["N", "NO", "\\", '"', "\n", "nothing", "ü", "acc"])),
    sort=st.sampled_from(SORTS),
)


@settings(max_examples=300)
@given(LINES, st.booleans(), QUERIES)
def test_a_query_finds_what_a_plain_reading_finds(made: list[dict[str, Any]], theirs: bool, query: Query) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "samples.jsonl"
        path.write_bytes(b"".join(map(foreign if theirs else one_line, spelled(made) if theirs else made)))
        index = Journal(path).index()
        unknown = query.subset is not None and query.subset not in index.subset_names
        if unknown or set(query.verdicts) - set(index.label_names):
            with pytest.raises(UsageError):
                rows_of(index, query)
            return
        found = [index.ids[row] for row in rows_of(index, query)]
        wanted = [each["id"] for each in plainly_sorted(list(read_samples(path)), query) if fits(each, query)]
    assert found == wanted


def spelled(made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what plain JSON cannot say."""
    return [each for each in made if not math.isnan(each["scores"].get("acc", 0.0))]


def fits(sample: Mapping[str, Any], query: Query) -> bool:
    score = sample["scores"].get("acc")
    return (
        (not query.flags or bool(set(query.flags) & set(sample["flags"])))
        and (not query.verdicts or bool(set(query.verdicts) & set(labels_of(sample))))
        and (query.subset is None or sample.get("subset") == query.subset)
        and (query.outcome == "any" or (score is not None and (float(score) >= 1) == (query.outcome == "right")))
        and (query.low is None or (score is not None and float(score) >= query.low))
        and (query.high is None or (score is not None and float(score) <= query.high))
        and any(lower(query.text) in lower(text) for text in texts(sample))
    )


def texts(sample: Mapping[str, Any]) -> list[str]:
    prompts = [call["prompt"] for repeat in sample["repeats"] for call in repeat["calls"]]
    judgements = [each for repeat in sample["repeats"] for each in repeat.get("verdicts", ())]
    uses = [each["result"] for repeat in sample["repeats"] for each in repeat.get("tool_uses", ())]
    programs = [each["details"]["program"] for each in judgements]
    explanations = [each.get("explanation", "") for each in judgements]
    return [sample["id"], *prompts, *sample["completions"], *programs, *explanations, *uses]


def lower(text: str) -> str:
    return re.sub("[A-Z]", lambda found: found[0].lower(), text)


def plainly_sorted(samples: list[dict[str, Any]], query: Query) -> list[dict[str, Any]]:
    down = query.sort.startswith("-")
    if query.sort.endswith("order"):
        return samples[::-1] if down else samples
    if query.sort.endswith("id"):
        return sorted(samples, key=lambda sample: natural(sample["id"]), reverse=down)

    def key(sample: Mapping[str, Any]) -> tuple[bool, float]:
        score = float(sample["scores"].get("acc", math.nan))
        return math.isnan(score), 0.0 if math.isnan(score) else -score if down else score

    return sorted(samples, key=key)


def natural(id: str) -> list[str | int]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", id)]


@given(QUERIES, st.integers(1, 10**6))
def test_an_address_says_the_whole_query(query: Query, page: int) -> None:
    asked = query.turned_to(page)
    told = {key: list(map(str, value)) if isinstance(value, list) else [str(value)]
            for key, value in asked.parameters().items()}  # fmt: skip
    again = query_of(told)
    assert again.parameters() == {**asked.parameters(), **({"flag": list(again.flags)} if asked.flags else {})}
    assert again.verdicts == asked.verdicts
    assert set(again.flags) == set(asked.flags)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"outcome": ["rihgt"]}, "did you mean 'right'"),
        ({"flag": ["cutt"]}, "did you mean 'cut'"),
        ({"low": ["few"]}, "low=few: a score is a number"),
        ({"high": ["nan"]}, "a score is a number"),
        ({"page": ["0"]}, "pages are counted"),
        ({"page": ["-1"]}, "pages are counted"),
        ({"sort": ["size"]}, "known: "),
    ],
)
def test_what_no_query_says_is_named(parameters: dict[str, list[str]], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        query_of(parameters)


def test_empty_fields_of_a_form_ask_for_nothing() -> None:
    assert query_of({"text": [""], "low": [""], "subset": [""], "page": [""]}) == Query()
