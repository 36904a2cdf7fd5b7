"""What is read of sources: counted, shortened, held out, mixed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from stack.adaptation.tiny_finetuning import Assistant, User, chats, made, opened, options, pairs, write_rows

from evalharness.stack.adaptation.opened import Opened, open_finetuning
from evalharness.stack.corpus.mixtures import Cursor
from evalharness.stack.errors import TrainingError


def read(base: Path, **changes: Any) -> Opened:
    return open_finetuning(options(**changes), base / "model", base)


LONG = {"messages": [User("one"), Assistant("two " * 100)]}
ASKED_LONG = {"messages": [User("one " * 100), Assistant("two")]}


def test_what_was_read_is_told(tmp_path: Path) -> None:
    found = read(made(tmp_path))
    counts = found.counts["chats"]
    assert (counts.conversations, counts.cut, counts.dropped) == (24, 0, 0)
    assert 0 < counts.learned < counts.tokens
    assert sum(sum(map(len, sequence)) for sequence in found.sources["chats"]) == counts.tokens
    (told,) = found.told()
    said = f"chats: 24 conversations of {counts.tokens:,} tokens, {counts.learned:,} of them learned, in "
    assert told.startswith(said)
    assert len(read(tmp_path, data={"packing": "none"}).sources["chats"]) == 24 > len(found.sources["chats"])


def test_too_long_is_refused_with_place_and_number(tmp_path: Path) -> None:
    made(tmp_path, [*chats(2), LONG, ASKED_LONG])
    with pytest.raises(TrainingError) as told:
        read(tmp_path)
    assert str(told.value).startswith(
        f"{tmp_path}/chats.jsonl:3: longer than the context of 96 tokens, the first of 2 that are (the longest has 1"
    )
    assert str(told.value).endswith("; raise data.context, or say data.too_long: cut or drop.")


def test_too_long_is_cut_or_left_out(tmp_path: Path) -> None:
    made(tmp_path, [*chats(2), LONG, ASKED_LONG])
    cut, dropped = (read(tmp_path, data={"too_long": each}) for each in ("cut", "drop"))
    assert (cut.counts["chats"].conversations, cut.counts["chats"].cut, cut.counts["chats"].dropped) == (3, 1, 1)
    assert (dropped.counts["chats"].conversations, dropped.counts["chats"].dropped) == (2, 2)
    assert cut.told()[0].endswith("; 1 were cut, and 1 left out, as too long.")
    assert max(len(each) for sequence in cut.sources["chats"] for each in sequence) == 97
    with pytest.raises(TrainingError, match=r"'chats' has nothing to learn from \(4 too long\)"):
        read(tmp_path, data={"too_long": "drop", "context": 4})


def test_pairs_that_are_equal_once_they_are_cut_are_left_out(tmp_path: Path) -> None:
    same = "two " * 100
    made(tmp_path, [*pairs(2), {"prompt": "one", "chosen": same + "three", "rejected": same + "four"}])
    found = read(tmp_path, objective={"name": "dpo"}, data={"too_long": "cut"})
    assert (found.counts["chats"].conversations, found.counts["chats"].dropped) == (2, 1)


def test_what_is_held_out_is_not_trained_on(tmp_path: Path) -> None:
    made(tmp_path)
    found = read(tmp_path, data={"validation": {"conversations": 5}, "packing": "none"})
    ids = [tuple(each.ids_S) for sequence in found.sources["chats"] for each in sequence]
    held = [tuple(each.ids_S) for sequence in found.held_out for each in sequence]
    assert (len(ids), len(held)) == (19, 5)
    assert not set(ids) & set(held)
    again = read(tmp_path, data={"validation": {"share": 5 / 24}, "packing": "none"}, seed=9)
    assert [tuple(each.ids_S) for sequence in again.held_out for each in sequence] == held
    write_rows(tmp_path / "held.jsonl", chats(2))
    apart = read(tmp_path, data={"validation": {"paths": ["held.jsonl"]}, "packing": "none"})
    assert (len(apart.sources["chats"]), len(apart.held_out)) == (24, 2)
    assert list(apart.counts) == ["chats", "validation"]
    with pytest.raises(TrainingError, match="none would be left to train on"):
        read(tmp_path, data={"validation": {"conversations": 24}})
    with pytest.raises(TrainingError, match="validate_sequences is 3, but 2 are held out"):
        read(tmp_path, data={"validation": {"paths": ["held.jsonl"]}, "packing": "none"}, validate_sequences=3)


def test_sources_are_drawn_by_their_weights(tmp_path: Path) -> None:
    made(tmp_path)
    write_rows(tmp_path / "more.jsonl", [{"prompt": f"More {n}?", "completion": "one two three"} for n in range(10)])
    sources = [{"name": "chats", "paths": ["chats.jsonl"], "weight": 1}]
    sources.append({"name": "more", "paths": ["more.jsonl"], "weight": 3})
    training = opened(tmp_path, data={"sources": sources, "packing": "none"}, steps=100)
    _, cursor = training.source.take(Cursor(), 8, 8)
    cursor = training.source.skip(cursor, 392)
    drawn = Counter(dict(cursor.drawn))
    assert sum(drawn.values()) == 400
    assert drawn["more"] == pytest.approx(300, abs=30)
    alike = [{**each, "weight": None} for each in sources]
    training = opened(tmp_path, "other", data={"sources": alike, "packing": "none"})
    assert training.source.sequences == {"chats": 24, "more": 10}


def test_epochs_become_steps(tmp_path: Path) -> None:
    made(tmp_path)
    found = read(tmp_path, steps=0, epochs=3, data={"packing": "none"})
    assert (found.options.steps, found.options.epochs) == (36, None)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data": {"context": 1000}}, "data.context is 1,000, and model was made for at most 256 tokens"),
        ({"batch": {"sequences": 3, "micro": 2}}, "3 sequences do not divide by"),
        ({"schedule": {"warmup": 13}}, "do not fit into a training of 12 steps"),
        ({"template": "other"}, "template: 'other' is none"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    made(tmp_path)
    with pytest.raises(TrainingError, match=sentence):
        read(tmp_path, **changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"epochs": 1}, "give steps or epochs, one of them"),
        ({"steps": 0}, "give steps or epochs, one of them"),
        ({"objective": {"name": "sft", "beta": 0.1}}, "sft takes no beta; it takes: answers."),
        ({"objective": {"name": "dpo", "answers": "all"}}, "dpo takes no answers; it takes: beta, label_smoothing."),
        ({"objective": {"name": "dpo"}, "data": {"packing": "best_fit"}}, "pairs of answers are not packed"),
        ({"data": {"validation": {"share": 0.1, "conversations": 2}}}, "give one of share, conversations and paths"),
        ({"adapter": {"rank": 2}, "trained": ["blocks.*"]}, "an adapter trains what it adds"),
    ],
)
def test_options_that_contradict_each_other(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        options(**changes)
