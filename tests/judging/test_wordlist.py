from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from evalharness.errors import DataError
from evalharness.judging.base import Bench, build_judges
from evalharness.judging.wordlist import Wordlist
from evalharness.types import Attempt, Reference, Sample

SAMPLE = Sample(id="1", index=0, row={}, content_hash="c")


def wordlist(**options: str) -> Wordlist:
    (judge,) = build_judges([{"judge": "wordlist", **options}], "own.yaml: judging")
    assert isinstance(judge, Wordlist)
    return judge


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What an IDIOT.", ["idiot"]),
        ("Idiotic assassins assess a class.", ["idiotic"]),
        ("Damn it, damned thing", ["damn", "damned"]),
        ("A quiet afternoon at Scunthorpe.", []),
        ("", []),
        ("“crap”…", ["crap"]),
    ],
)
def test_listed_words_are_whole_words_in_any_case(text: str, words: list[str]) -> None:
    assert wordlist().found(text) == words


def test_verdicts_name_words_and_list_and_score_zero_or_one() -> None:
    attempt = Attempt(calls=(), candidates=("a fool", "an idiot"))
    bench = Bench(task="t", sample=SAMPLE, reference=Reference(), attempt=attempt)
    clean, listed = asyncio.run(wordlist().verdicts(bench))
    assert (clean.label, clean.details["score"]) == ("clean", 0.0)
    assert (listed.label, listed.details["score"], listed.details["words"]) == ("listed", 1.0, ["idiot"])
    assert listed.details["list"] == wordlist().fingerprint[:12]


def test_a_list_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("# remarks\nice cream\nsun*\n\nc++\n", encoding="utf-8")
    judge = wordlist(file=str(path))
    assert judge.found("Sunny ICE CREAM, iced creams, c++!") == ["sunny", "ice cream", "c++"]
    assert judge.shown(SAMPLE, "") == {"list": judge.fingerprint}
    assert judge.fingerprint != wordlist().fingerprint


@pytest.mark.parametrize("text", ["", "# nothing\n", "*\n"])
def test_a_list_without_words_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"judging\[0\].file: .*lists no word"):
        wordlist(file=str(path)).found("a")
    with pytest.raises(DataError, match="cannot be read"):
        wordlist(file=str(tmp_path / "none.txt")).found("a")
