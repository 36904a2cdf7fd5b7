"""The columns of a journal: every kind of line, torn and damaged ones, journals that grow under the reader."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
from evidence_for_tests import judged, tool_use, verdict
from viewer.made import foreign, line, run_of

from evalharness.errors import DataError
from evalharness.records.strict_json import one_line
from evalharness.viewer.index import Index
from evalharness.viewer.line_facts import BITS
from evalharness.viewer.reader import MOST_LABELS, OTHERS, Journal


def index_of(folder: Path, *raw: bytes) -> Index:
    path = folder / "samples.jsonl"
    path.write_bytes(b"".join(raw))
    return Journal(path).index()


def test_lines_of_another_tool_are_read_as_our_own(tmp_path: Path) -> None:
    made = [line("a", 0.0, subset="one", flags=["cut"]), line("ü", 1.0, subset="two")]
    ours = index_of(tmp_path, *map(one_line, made))
    theirs = index_of(tmp_path, *map(foreign, made))
    assert ours.ids == theirs.ids == ["a", "ü"]
    assert ours.flags.tolist() == theirs.flags.tolist() == [BITS["cut"], 0]
    assert ours.scores["acc"].tolist() == theirs.scores["acc"].tolist() == [0.0, 1.0]
    assert [ours.subset_names[code] for code in ours.subsets] == ["one", "two"]


def test_of_two_lines_of_a_sample_the_later_one_counts(tmp_path: Path) -> None:
    found = index_of(tmp_path, *map(one_line, [line("a", None), line("b"), line("a", 0.0)]))
    assert found.ids == ["b", "a"]
    assert found.replaced == 1
    assert found.scored["acc"].all()


def test_a_score_that_is_no_number_is_kept_as_one(tmp_path: Path) -> None:
    found = index_of(tmp_path, one_line(line("a", math.nan)), one_line(line("b", None)))
    assert found.scored["acc"].tolist() == [True, False]
    assert all(map(math.isnan, found.scores["acc"]))


def test_a_metric_that_only_some_samples_have(tmp_path: Path) -> None:
    found = index_of(tmp_path, *map(one_line, [line("a"), line("b", more_scores={"f1": 0.5}), line("c")]))
    assert found.scored["f1"].tolist() == [False, True, False]
    assert found.scores["f1"][1] == 0.5


def test_a_torn_last_line_is_left_out_and_told(tmp_path: Path) -> None:
    found = index_of(tmp_path, one_line(line("a")), one_line(line("b"))[:-20])
    assert (found.ids, found.torn, found.damaged) == (["a"], True, [])


@pytest.mark.parametrize("at", [10, 200, 400])
def test_a_line_that_goes_on_after_a_torn_one_is_damaged(tmp_path: Path, at: int) -> None:
    torn = one_line(line("a", 0.0))[:at] + one_line(line("b"))
    found = index_of(tmp_path, torn, one_line(line("c")))
    assert (found.ids, found.damaged) == (["c"], [1])


@pytest.mark.parametrize("raw", [b"\n", b"[]\n", b"{}\n", b"\xff\xfe\n", b'{"id":"a","scores":3,"flags":[]}\n'])
def test_what_is_no_sample_is_damaged(tmp_path: Path, raw: bytes) -> None:
    found = index_of(tmp_path, raw, one_line(line("c")))
    assert (found.ids, found.damaged) == (["c"], [1])


def test_a_line_that_is_damaged_behind_its_scores_is_found_when_it_is_looked_at(tmp_path: Path) -> None:
    found = index_of(tmp_path, one_line(line("a")).replace(b'"calls":[', b'"calls":]'), one_line(line("b")))
    first, second = found.lines([0, 1])
    assert first is None
    assert second is not None
    assert second["id"] == "b"


def test_keys_in_a_text_are_no_keys(tmp_path: Path) -> None:
    prompt = '{"task": ,"target":1,"scores":{"acc":0},"repeats":['
    found = index_of(tmp_path, one_line(line(prompt, 1.0, prompt=prompt, said=prompt)))
    assert found.ids == [prompt]
    assert found.scores["acc"].tolist() == [1.0]


def test_a_journal_that_grows_is_read_on_and_earlier_columns_stay(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [line("a")])
    journal = Journal(run.journal)
    before = journal.index()
    whole = one_line(line("b", 0.0))
    with run.journal.open("ab") as file:
        file.write(whole[:50])
        file.flush()
        assert (journal.index().ids, journal.index().torn) == (["a"], True)
        file.write(whole[50:])
    assert (journal.index().ids, journal.index().torn) == (["a", "b"], False)
    assert before.ids == ["a"]
    assert journal.index() is journal.index()


@pytest.mark.parametrize("in_place", [True, False])
def test_a_journal_that_was_mended_is_read_anew(tmp_path: Path, in_place: bool) -> None:
    run = run_of(tmp_path / "run", [line("a"), line("b"), line("c")])
    journal = Journal(run.journal)
    assert journal.index().ids == ["a", "b", "c"]
    mended = b"".join(map(one_line, [line("a"), line("c"), line("d"), line("e")]))
    place = run.journal if in_place else run.path / "new"
    place.write_bytes(mended)
    os.replace(place, run.journal)
    assert journal.index().ids == ["a", "c", "d", "e"]


def test_the_beginning_is_there_before_the_whole(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [line(str(number)) for number in range(100)])
    journal = Journal(run.journal)
    first = journal.at_once(10)
    assert (first.ids, first.complete) == ([str(number) for number in range(10)], False)
    assert len(journal.index()) == 100
    assert journal.at_once(10).complete


def test_a_short_journal_is_whole_at_once(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [line("a")])
    assert Journal(run.journal).at_once(1).complete


def test_no_journal_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        Journal(tmp_path / "samples.jsonl").index()


def test_numbers_in_ids_are_sorted_as_numbers(tmp_path: Path) -> None:
    found = index_of(tmp_path, *(one_line(line(id)) for id in ["a10", "a9", "10", "9", "b"]))
    assert [found.ids[row] for row in found.id_ranks.argsort()] == ["9", "10", "a9", "a10", "b"]


def test_verdicts_are_columns(tmp_path: Path) -> None:
    made = [
        judged(line("a"), [verdict("timeout"), verdict("pass", candidate=1)]),
        line("b"),
        judged(line("c"), [verdict("pass")], [tool_use()]),
    ]
    for spelling in (one_line, foreign):
        found = index_of(tmp_path, *map(spelling, made))
        assert found.label_names == ["timeout", "pass"]
        assert found.labels.tolist() == [3, 0, 2]
        assert [found.outcome(id) for id in "abcz"] == ["timeout", None, "pass", None]


def test_of_two_lines_of_a_sample_the_later_verdict_counts(tmp_path: Path) -> None:
    found = index_of(tmp_path, one_line(judged(line("a"), [verdict("fail")])), one_line(line("b")), one_line(line("a")))
    assert found.ids == ["b", "a"]
    assert found.labels.tolist() == [0, 0]
    assert found.outcome("a") is None


def test_a_text_forges_no_verdict(tmp_path: Path) -> None:
    forged = '"verdicts":[{"judge":"execution","candidate":0,"label":"pass"}]'
    made = judged(line("a", prompt=forged, said=forged), [verdict("fail", program=forged, stdout=forged)])
    assert index_of(tmp_path, one_line(made)).label_names == ["fail"]
    use = tool_use("web", verdicts=[verdict("pass")], **verdict("pass"))
    assert index_of(tmp_path, one_line(judged(line("a"), [verdict("fail")], [use]))).label_names == ["fail"]
    assert index_of(tmp_path, one_line(judged(line("a"), [], [use]))).label_names == []


def test_labels_beyond_the_sixty_third_are_one(tmp_path: Path) -> None:
    found = index_of(
        tmp_path, *(one_line(judged(line(str(place)), [verdict(f"label {place}")])) for place in range(80))
    )
    assert len(found.label_names) == MOST_LABELS + 1
    assert found.label_names[-1] == OTHERS
    assert found.outcome("79") == OTHERS
    assert found.outcome("62") == "label 62"


@pytest.mark.parametrize("verdicts", [3, [3], {"a": 1}, None, [{}]])
def test_verdicts_that_are_none_do_not_keep_a_line_out(tmp_path: Path, verdicts: object) -> None:
    made = line("a")
    made["repeats"][0]["verdicts"] = verdicts
    assert index_of(tmp_path, one_line(made), foreign(made)).ids == ["a"]
