"""docs/records.md names every key of the files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evalharness.records.format import FORMAT
from evalharness.records.run import ResultsRecord, RunRecord, ScoreRecord
from evalharness.records.sample import (
    CallRecord,
    CompletionRecord,
    RepeatRecord,
    SampleRecord,
    SamplingRecord,
    ToolRecord,
    ToolUseRecord,
    VerdictRecord,
)

PAGE = (Path(__file__).parents[2] / "docs/records.md").read_text(encoding="utf-8")
RECORDS = (
    RunRecord,
    ResultsRecord,
    ScoreRecord,
    SampleRecord,
    RepeatRecord,
    CallRecord,
    CompletionRecord,
    SamplingRecord,
    VerdictRecord,
    ToolUseRecord,
    ToolRecord,
)


@pytest.mark.parametrize("record", RECORDS)
def test_every_key_is_described(record: type[RunRecord]) -> None:
    described = set(re.findall(r"`([a-z_]+)`", PAGE))
    assert set(record.model_fields) <= described


def test_the_format_is_the_one_that_is_written() -> None:
    assert f"The format is **{FORMAT}**" in PAGE
