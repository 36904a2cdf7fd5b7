"""What is wrong with files of conversations, each in one sentence with its place."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from stack.adaptation.tiny_finetuning import Assistant, User

from evalharness.stack.adaptation.conversations import Turn, conversation, preference
from evalharness.stack.adaptation.rows import Row, read_rows, rows_of
from evalharness.stack.errors import TrainingError


def test_lines_archives_and_parquet_hold_the_same_rows(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    rows = [{"messages": [User("one"), Assistant("two")]}, {"messages": [User("three"), Assistant("four")]}]
    text = json.dumps(rows[0]) + "\n\n" + json.dumps(rows[1]) + "\n"
    (tmp_path / "a.jsonl").write_text(text)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "c.parquet")
    found = list(rows_of("all", ["*.jsonl", "*.gz", "*.parquet"], tmp_path))
    assert [row.values for row in found] == rows * 3
    places = ["a.jsonl:1", "a.jsonl:3", "b.jsonl.gz:1", "b.jsonl.gz:3", "c.parquet: row 1", "c.parquet: row 2"]
    assert [row.where for row in found] == [f"{tmp_path}/{place}" for place in places]
    assert [conversation(row).turns[1].content for row in found] == ["two", "four"] * 3


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.jsonl", b'{"messages": []}\n{"mess', r"a\.jsonl:2: not valid JSON \(Unterminated"),
        ("a.jsonl", b'["one"]\n', r"a\.jsonl:1: a list; each line must hold a JSON object\.$"),
        ("a.jsonl", b'{"prompt": "\xff"}\n', r"a\.jsonl:1: byte 12 \(0xff\) is no UTF-8\.$"),
        ("a.jsonl.gz", b"\x1f\x8bnothing", r"a\.jsonl\.gz: damaged or cut off"),
        ("a.parquet", b"PAR1", r"a\.parquet: not a whole parquet file"),
        ("a.txt", b"one", r"a\.txt: conversations are read from \.jsonl, \.ndjson \(both also \.gz\) and \.parquet\.$"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, data: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(TrainingError, match=sentence) as told:
        list(read_rows(tmp_path / name))
    assert "\n" not in str(told.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"^data\.sources\.chats: .*none\.jsonl: there is no such file"):
        list(rows_of("chats", ["none.jsonl"], tmp_path))


ANSWERED = [User("one"), Assistant("two")]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"text": "one"}, "c.jsonl:7: there is neither messages nor prompt and completion; a row holds messages"),
        ({"prompt": "one"}, "neither messages nor prompt and completion"),
        ({"messages": "one"}, "messages is a str; it must be a list of messages with role and content."),
        ({"messages": []}, "messages is an empty list"),
        ({"messages": ["one"]}, "message 1 of messages is a str; it must be an object with role and content."),
        ({"messages": [{"content": "one"}]}, "message 1 of messages has no role (it has: content)"),
        ({"messages": [{"from": "human", "value": "one"}]}, "message 1 of messages has no role (it has: from, value)"),
        ({"messages": [User("one"), {"role": "assistant"}]}, "message 2 of messages has no content (it has: role)"),
        ({"messages": [{"role": "human", "content": "one"}]}, "the role 'human' is not known; roles are: system, "),
        ({"messages": [{"role": "user", "content": 3}]}, "message 1 of messages: content is a int, not a text."),
        (
            {"messages": [User("one"), {**Assistant("two"), "tool_calls": [1]}]},
            "message 2 of messages has 'tool_calls'",
        ),
        ({"messages": [User("one")]}, "no message is the assistant's, so there is no answer to learn."),
        (
            {"messages": [User("one"), Assistant(" \n")]},
            "the answer in message 2 is empty; leave the conversation out.",
        ),
        ({"prompt": "one", "completion": ""}, "the answer in message 2 is empty"),
        ({"messages": [Assistant("two"), User("one")]}, "the first message is the assistant's"),
    ],
)
def test_a_row_that_is_no_conversation(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TrainingError) as told:
        conversation(Row("c.jsonl:7", values))
    assert str(told.value).startswith("c.jsonl:7: ")
    assert sentence in str(told.value)


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": "one", "chosen": "two", "rejected": "three"},
        {"prompt": [User("one")], "chosen": [Assistant("two")], "rejected": [Assistant("three")]},
        {"prompt": "one", "chosen": ANSWERED, "rejected": [User("one"), Assistant("three")]},
        {"chosen": ANSWERED, "rejected": [User("one"), Assistant("three")], "score": 3},
    ],
)
def test_a_row_that_is_a_pair(values: dict[str, Any]) -> None:
    found = preference(Row("p.jsonl:2", values))
    assert found.chosen.turns == (Turn("user", "one"), Turn("assistant", "two"))
    assert found.rejected.turns == (Turn("user", "one"), Turn("assistant", "three"))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"prompt": "one", "chosen": "two", "rejected": "two"},
            "chosen and rejected are equal, so nothing is preferred",
        ),
        ({"chosen": ANSWERED, "rejected": ANSWERED}, "chosen and rejected are equal"),
        ({"prompt": "one", "chosen": "two"}, "there is no rejected; a row holds prompt, chosen and rejected."),
        ({"prompt": "one", "rejected": "two"}, "there is no chosen"),
        ({"chosen": "one", "rejected": "two"}, "there is no prompt"),
        ({"prompt": "one", "chosen": "", "rejected": "two"}, "the answer in message 2 is empty"),
        (
            {"chosen": [*ANSWERED, User("so")], "rejected": ANSWERED},
            "chosen must be one answer of the assistant to the",
        ),
        ({"prompt": "one", "chosen": [{"content": "two"}], "rejected": "two"}, "message 1 of chosen has no role"),
    ],
)
def test_a_row_that_is_no_pair(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TrainingError) as told:
        preference(Row("p.jsonl:2", values))
    assert str(told.value).startswith("p.jsonl:2: ")
    assert sentence in str(told.value)
