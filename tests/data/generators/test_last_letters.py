"""Last letter concatenation: right answers, read back from the question alone; distinct; the same for ever."""

from __future__ import annotations

import pytest

from evalharness.data.generators.last_letters import generate
from evalharness.data.generators.splits import PEOPLE
from evalharness.errors import DataError
from evalharness.hashing import canonical_json, sha256_text


@pytest.mark.parametrize(("split", "words"), PEOPLE.items())
def test_answers_follow_from_the_questions(split: str, words: int) -> None:
    rows = generate(split)
    assert len({row["question"] for row in rows}) == len(rows) == 1000
    for row in rows:
        _, name, rest = row["question"].split('"')
        assert rest == " and concatenate them."
        assert name.split() == row["names"]
        assert len(row["names"]) == words
        assert row["answer"] == "".join(word[-1] for word in name.split())
        assert row["answer"] == "".join(row["rationale"].split('" is "')[place][0] for place in range(1, words + 1))
        assert row["rationale"].endswith(f'Concatenating them is "{row["answer"]}".')


def test_no_name_is_in_two_splits() -> None:
    assert len({row["question"] for split in PEOPLE for row in generate(split)}) == 4000


def test_lengths_vary() -> None:
    lengths = {len(word) for row in generate("test") for word in row["names"]}
    assert lengths >= set(range(2, 12))


def test_the_rows_are_the_same_on_every_machine() -> None:
    digests = {split: sha256_text(canonical_json(generate(split)))[:16] for split in PEOPLE}
    assert digests == {
        "train": "bf87e8ec571fb318",
        "test": "ddebd0770e6908c9",
        "test_3": "d059536120d293f8",
        "test_4": "e61074b772a57ced",
    }


def test_an_unknown_split_names_the_known_ones() -> None:
    with pytest.raises(DataError, match="no split 'test_5'; did you mean 'test_"):
        generate("test_5")
