"""Samples are found by what became of them, and only as much of the journal is read as is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.errors import DataError, UsageError
from evalharness.records.journal import Journal, read_samples
from evalharness.records.select import Filter, selected
from evalharness.records.strict_json import one_line


def line(id: str, score: float | None = 1.0, *flags: str, **more: Any) -> dict[str, Any]:
    return {
        "task": "own",
        "id": id,
        "index": 0,
        "completions": [f'"scores":{{"em":1.0}} ,"scores":{{"em":1.0}},"flags":["unparsed"] {id}'],
        "scores": {} if score is None else {"em": score},
        "flags": list(flags),
        **more,
        "repeats": [],
    }


def failed(id: str) -> dict[str, Any]:
    return line(id, None, "errored", error="it broke")


def write(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_bytes(b"".join(one_line(each) for each in lines))
    return path


def ids(path: Path, **wanted: Any) -> list[str]:
    return [each["id"] for each in selected(path, Filter(**wanted))]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return write(
        tmp_path / "samples.jsonl",
        line("a"),
        line("b", 0.0, "unparsed", subset="law"),
        failed("c"),
        line("d", 0.5, "truncated", "empty"),
        failed("e"),
        line("c", 1.0),
        line("f", float("nan")),
    )


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, "abdecf"),
        ({"right": True}, "ac"),
        ({"right": False}, "bdf"),
        ({"flags": frozenset({"unparsed"})}, "b"),
        ({"flags": frozenset({"unparsed", "empty"})}, "bd"),
        ({"flags": frozenset({"errored"})}, "e"),
        ({"flags": frozenset({"empty"}), "right": True}, ""),
        ({"subset": "law"}, "b"),
        ({"id": "d"}, "d"),
        ({"id": "c"}, "c"),
    ],
)
def test_what_is_wanted(journal: Path, wanted: dict[str, Any], expected: str) -> None:
    assert ids(journal, **wanted) == list(expected)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"labels": frozenset({"timeout"})}, "bc"),
        ({"labels": frozenset({"timeout", "pass"})}, "abc"),
        ({"labels": frozenset({"timeout"}), "right": True}, "c"),
        ({"labels": frozenset({"timeout"}), "right": False, "flags": frozenset({"empty"})}, ""),
    ],
)
def test_samples_are_found_by_their_verdicts(tmp_path: Path, wanted: dict[str, Any], expected: str) -> None:
    path = write(
        tmp_path / "samples.jsonl",
        judged(line("a"), "pass"),
        judged(line("b", 0.0), "fail", "timeout"),
        judged(line("c"), "timeout"),
        judged(line("d", 0.0), "fail"),
        line("timeout"),
    )
    assert ids(path, **wanted) == list(expected)


def test_a_verdict_that_no_sample_has_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "samples.jsonl", judged(line("a"), "pass", "timeout"))
    with pytest.raises(UsageError, match=r"--outcome tmeout: no verdict of .* is so; did you mean 'timeout'"):
        ids(path, labels=frozenset({"tmeout"}))
    with pytest.raises(UsageError, match="none is known"):
        ids(write(tmp_path / "plain.jsonl", line("a")), labels=frozenset({"pass"}))


def judged(made: dict[str, Any], *labels: str) -> dict[str, Any]:
    verdicts = [{"judge": "execution", "candidate": place, "label": label} for place, label in enumerate(labels)]
    return {**made, "repeats": [{"scores": made["scores"], "verdicts": verdicts, "calls": []}]}


def test_everything_is_what_the_journal_says(journal: Path) -> None:
    found = {each["id"]: each for each in selected(journal, Filter())}
    theirs = {each["id"]: each for each in read_samples(journal)}
    assert found.keys() == theirs.keys()
    assert found["c"] == theirs["c"]


texts = st.text(alphabet='ab"\\{}[]:,é\n', max_size=12)


@given(st.lists(st.tuples(texts, texts, st.sampled_from([0.0, 1.0, None]), st.booleans()), max_size=8))
def test_the_few_bytes_that_are_read_tell_what_the_whole_line_tells(rows: list[tuple[Any, ...]]) -> None:
    import tempfile

    lines = [
        line(f"{number}{id}", score, *(["unparsed"] if flag else []), target=text, completions=[text], subset=text)
        for number, (id, text, score, flag) in enumerate(rows)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "samples.jsonl", *lines)
        assert ids(path, right=True) == [each["id"] for each in lines if each["scores"] == {"em": 1.0}]
        assert ids(path, flags=frozenset({"unparsed"})) == [each["id"] for each in lines if each["flags"]]
        for each in lines:
            assert ids(path, id=each["id"]) == [each["id"]]


def test_a_page_is_read_no_further_than_it_goes(tmp_path: Path) -> None:
    path = write(tmp_path / "samples.jsonl", line("a"), line("b"))
    with path.open("ab") as file:
        file.write(b"damage\n" + one_line(line("c")))
    found = selected(path, Filter())
    assert [next(found)["id"], next(found)["id"]] == ["a", "b"]
    with pytest.raises(DataError, match="line 3 is damaged"):
        next(found)


def test_a_journal_that_is_being_written(tmp_path: Path) -> None:
    with Journal(tmp_path / "samples.jsonl") as journal:
        journal.append(line("a"))
        with journal.path.open("ab") as file:
            file.write(b'{"task":"own","id":"b","ind')
        assert ids(journal.path) == ["a"]


def test_an_unknown_metric(journal: Path) -> None:
    with pytest.raises(UsageError, match="it has em"):
        ids(journal, right=True, metric="f1")


def test_no_journal(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        ids(tmp_path / "samples.jsonl")
