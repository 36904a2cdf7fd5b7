"""The cursor alone decides what a training reads: however it is taken, by however many ranks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.stack.corpus.mixtures import Cursor
from evalharness.stack.corpus.options import PipelineOptions
from evalharness.stack.corpus.pipeline import build
from evalharness.stack.errors import CorpusError, TrainingError
from evalharness.stack.training import data
from evalharness.stack.training.data import BatchSource, DataOptions
from evalharness.stack.training.draws import DataEnded, Prefetched
from evalharness.stack.training.objectives import Batch, Objective, ObjectiveOptions

END = 256
TEXTS = {
    "digits": [str(number % 10) * (3 + 7 * number % 12) for number in range(40)],
    "letters": [f"{letter}?={letter.upper() * size}" for size, letter in enumerate("abcdefghij")],
    "small": ["xyz"],
}


def made(folder: Path, texts: Mapping[str, Sequence[str]], **options: Any) -> Path:
    """A corpus of bytes in `folder`, in shards of 100 tokens."""
    folder.mkdir(parents=True)
    for name, own in texts.items():
        lines = [json.dumps({"text": text}) + "\n" for text in own]
        (folder / f"{name}.jsonl").write_text("".join(lines))
    values = {
        "output": "corpus",
        "sources": [{"name": name, "paths": [f"{name}.jsonl"]} for name in texts],
        "deduplication": {"exact": False},
        "shard_tokens": 100,
        **options,
    }
    build(PipelineOptions.model_validate(values), folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("data") / "texts", TEXTS)


def mixture(*names: str, **options: Any) -> dict[str, Any]:
    """Equal weights of these sources."""
    return {"schedule": [{"at": 0, "weights": dict.fromkeys(names, 1)}], **options}


def opened(base: Path, objective: Objective | None = None, **options: Any) -> BatchSource:
    """Data of context 8; what is no option of the data goes to the source."""
    own = {name: options.pop(name) for name in ("seed", "rank", "ranks") if name in options}
    total = options.pop("total", 100)
    values = {"corpus": "corpus", "context": 8, **options}
    return BatchSource(
        DataOptions.model_validate(values), base, objective or Objective(ObjectiveOptions()), total=total, **own
    )


def rows(batches: Sequence[Batch]) -> list[Any]:
    """Every sequence for itself."""
    values: list[Any] = []
    for batch in batches:
        prefix = batch.inputs_BT == -1 if batch.prefix_BT is None else batch.prefix_BT
        values += zip(
            batch.inputs_BT.tolist(), batch.targets_BT.tolist(), batch.weights_BT.tolist(), prefix.tolist(), strict=True
        )
    return values


def whole(batch: Batch) -> list[Any]:
    parts = [getattr(batch, field.name) for field in fields(batch)]
    return [part if part is None else part.tolist() for part in parts]


def learned(batch: Batch) -> list[str]:
    """The texts of sequences: a space for the end of a document."""
    tokens = torch.cat([batch.inputs_BT, batch.targets_BT[:, -1:]], dim=1).tolist()
    return ["".join(" " if id == END else chr(id) for id in row) for row in tokens]


def texts(batches: Sequence[Batch]) -> list[str]:
    return [text for batch in batches for text in learned(batch)]


# ---------------------------------------------------------------------------- what comes


def test_an_epoch_is_every_sequence_once(base: Path) -> None:
    text = "".join(text + " " for text in TEXTS["letters"])
    cut = [text[start : start + 9] for start in range(0, len(text) - 8, 9)]
    source = opened(base, mixture=mixture("letters"))
    assert source.sequences == {"letters": len(cut)} == {"letters": 9}
    first, cursor = source.take(Cursor(), 9, 4)
    assert [len(batch.inputs_BT) for batch in first] == [4, 4, 1]
    assert sorted(texts(first)) == sorted(cut)
    assert texts(first) != cut
    assert cursor == Cursor(9, (("letters", 9),))
    second, _ = source.take(cursor, 9, 9)
    assert sorted(texts(second)) == sorted(cut)
    assert texts(second) != texts(first)


def test_a_golden_batch(base: Path) -> None:
    """A release that reads in another order would not resume what an earlier one began."""
    (golden,), _ = opened(base, mixture=mixture("letters", "digits"), seed=4).take(Cursor(), 3, 3)
    assert learned(golden) == ["99999 000", "IIIIIIII ", "DDD e?=EE"]
    assert golden.documents_BT is not None
    assert golden.documents_BT.tolist() == [[0, 0, 0, 0, 0, 0, 1, 1], [0] * 8, [0, 0, 0, 0, 1, 1, 1, 1]]
    assert golden.positions.tolist() == [[0, 1, 2, 3, 4, 5, 0, 1], list(range(8)), [0, 1, 2, 3, 0, 1, 2, 3]]
    assert golden.weights_BT.tolist() == [[1, 1, 1, 1, 1, 0, 1, 1], [1] * 8, [1, 1, 1, 0, 1, 1, 1, 1]]


def test_packing_and_boundaries_are_options(base: Path) -> None:
    (padded,), _ = opened(base, mixture=mixture("small"), packing="best_fit").take(Cursor(), 1, 1)
    assert (learned(padded), padded.weights_BT.tolist()) == (["xyz      "], [[1, 1, 1, 0, 0, 0, 0, 0]])
    (untold,), _ = opened(base, mixture=mixture("letters"), boundaries=False).take(Cursor(), 9, 9)
    assert (untold.documents_BT, untold.positions.tolist()) == (None, list(range(8)))
    assert untold.weights_BT.min() == 1


def test_sources_weigh_by_tokens_unless_the_corpus_or_the_options_say(tmp_path: Path, base: Path) -> None:
    def share(source: BatchSource) -> float:
        taken = [text for text in texts(source.take(Cursor(), 40, 40)[0]) if text]
        return sum(any(character.isdigit() for character in text) for text in taken) / 40

    # 40 of 49 sequences' tokens are digits; "small" fills no sequence.
    assert opened(base).sequences.keys() == {"digits", "letters"}
    assert 0.6 < share(opened(base)) < 0.95
    kept = made(tmp_path / "kept", TEXTS, mixture=mixture("letters", "digits"))
    assert 0.3 < share(opened(kept)) < 0.7
    assert share(opened(kept, mixture=mixture("digits"))) == 1


# ---------------------------------------------------------------------------- the cursor decides

RANDOM = Objective(ObjectiveOptions(name="prefix_lm"), seed=2)
SCHEDULE = {
    "schedule": [{"at": 0, "weights": {"letters": 1}}, {"at": 0.5, "weights": {"letters": 1, "digits": 3}}],
    "change": "linear",
}
VALIDATION = {"sequences": 2}


def stream(source: BatchSource, sizes: Sequence[int], micro: int, cursor: Cursor | None = None) -> list[Any]:
    cursor, values = cursor or Cursor(), []
    for size in sizes:
        batches, cursor = source.take(Cursor.from_json(json.loads(json.dumps(cursor.to_json()))), size, micro)
        values += rows(batches)
    return values


@settings(max_examples=30)
@given(sizes=st.lists(st.integers(1, 20), max_size=8), micro=st.integers(1, 9), new=st.booleans())
def test_any_takes_give_one_stream(base: Path, sizes: list[int], micro: int, new: bool) -> None:
    source = opened(base, RANDOM, mixture=SCHEDULE, validation=VALIDATION)
    total = sum(sizes)
    one = [row for start in range(0, total, 5) for row in stream(source, [5], 5, source.skip(Cursor(), start))][:total]
    if new:
        source = opened(base, RANDOM, mixture=SCHEDULE, validation=VALIDATION)
    assert stream(source, sizes, micro) == one


@settings(max_examples=30)
@given(ranks=st.integers(1, 4), each=st.lists(st.integers(1, 5), min_size=1, max_size=6), micro=st.integers(1, 4))
def test_ranks_together_are_one(base: Path, ranks: int, each: list[int], micro: int) -> None:
    options: dict[str, Any] = {"mixture": SCHEDULE, "validation": VALIDATION}
    one = opened(base, RANDOM, **options)
    several = [opened(base, RANDOM, **options, rank=rank, ranks=ranks) for rank in range(ranks)]
    cursor = Cursor()
    for size in each:
        taken = [source.take(cursor, size * ranks, micro) for source in several]
        batches, after = one.take(cursor, size * ranks, micro)
        assert {cursor for _, cursor in taken} == {after}
        assert len({len(own) for own, _ in taken}) == 1
        assert rows(batches) == [row for group in zip(*(rows(own) for own, _ in taken), strict=True) for row in group]
        cursor = after


def test_the_same_take_is_the_same_bit_for_bit(base: Path) -> None:
    source = opened(base, RANDOM, mixture=SCHEDULE)
    cursor = source.skip(Cursor(), 37)
    first = [whole(batch) for batch in source.take(cursor, 8, 3)[0]]
    source.take(Cursor(), 5, 5)
    assert [whole(batch) for batch in source.take(cursor, 8, 3)[0]] == first
    assert [whole(batch) for batch in opened(base, RANDOM, mixture=SCHEDULE).take(cursor, 8, 3)[0]] == first


def test_a_sequence_is_split_anew_each_time(base: Path) -> None:
    source, cursor, splits = opened(base, RANDOM, mixture=mixture("letters")), Cursor(), []
    for _ in range(2):
        batches, cursor = source.take(cursor, 9, 9)
        splits.append({str(inputs): weights for inputs, _, weights, _ in rows(batches)})
    assert splits[0].keys() == splits[1].keys()
    assert sum(splits[0][text] != splits[1][text] for text in splits[0]) > 4


def test_the_seed_decides_the_order(base: Path) -> None:
    orders = [texts(opened(base, seed=seed).take(Cursor(), 30, 30)[0]) for seed in (0, 1)]
    assert orders[0] != orders[1]
    assert texts(opened(base, seed=1).take(Cursor(), 30, 30)[0]) == orders[1]
    one = opened(base, mixture=mixture("digits", seed=1))
    other = opened(base, mixture=mixture("digits"), seed=1)
    assert texts(one.take(Cursor(), 9, 9)[0]) == texts(other.take(Cursor(), 9, 9)[0])


def test_what_is_skipped_is_read_by_nobody(base: Path) -> None:
    source = opened(base)
    every = texts(source.take(Cursor(), 40, 40)[0])
    cursor = source.skip(source.take(Cursor(), 10, 10)[1], 12)
    assert texts(source.take(cursor, 18, 18)[0]) == every[22:]


def test_a_training_that_skipped_goes_beyond_its_total(base: Path) -> None:
    options: dict[str, Any] = {"mixture": {**SCHEDULE, "change": "step"}, "total": 20}
    source = opened(base, **options)
    cursor = source.skip(Cursor(), 20)
    beyond = source.take(cursor, 40, 40)
    halves = [source.take(cursor, 13, 13)[1], source.take(source.skip(cursor, 13), 27, 27)[1]]
    assert halves[1] == beyond[1]
    digits = sum(text[0].isdigit() or text[-1].isdigit() for text in texts(beyond[0]))
    assert 20 < digits < 40


# ---------------------------------------------------------------------------- held out


def test_what_is_held_out_is_not_trained_on(tmp_path: Path) -> None:
    base = made(tmp_path / "own", {"words": [f"{number:08d}" for number in range(50)], "more": ["morewords"] * 4})
    source = opened(base, validation={"share": 0.2}, mixture=mixture("words"))
    assert (source.held_out, source.sequences) == (10, {"words": 40})
    held, trained = texts(source.validation(10, 4)), texts(source.take(Cursor(), 40, 40)[0])
    assert sorted(held + trained) == [f"{number:08d} " for number in range(50)]
    other = opened(base, validation={"share": 0.2}, mixture=mixture("words"), seed=7)
    assert texts(other.validation(10, 10)) == held
    assert texts(other.validation(3, 3)) == held[:3]
    assert set(texts(opened(base, validation={"share": 0.2, "seed": 1}).validation(10, 10))) != set(held)


def test_validation_is_the_same_every_time_and_for_all_ranks(base: Path) -> None:
    options: dict[str, Any] = {"validation": {"sequences": 5}}
    source = opened(base, RANDOM, **options)
    every = rows(source.validation(9, 2))
    source.take(Cursor(), 7, 7)
    assert rows(source.validation(9, 4)) == every
    ranks = [rows(opened(base, RANDOM, **options, rank=rank, ranks=2).validation(9, 2)) for rank in range(2)]
    assert (ranks[0], ranks[1]) == (every[::2], every[1::2])
    assert opened(base, RANDOM, **options, rank=1, ranks=2).validation(1, 1) == []


def test_another_corpus_may_be_held_out(tmp_path: Path) -> None:
    base = made(tmp_path / "own", TEXTS)
    made(tmp_path / "own" / "other", {"new": [f"{number:08d}" for number in range(7)]})
    source = opened(base, validation={"corpus": "other/corpus"})
    assert source.sequences == opened(base).sequences
    assert sorted(texts(source.validation(7, 3))) == [f"{number:08d} " for number in range(7)]


# ---------------------------------------------------------------------------- ahead


def test_what_is_read_ahead_is_what_would_have_come(base: Path) -> None:
    source, ahead, cursor = opened(base, RANDOM), Prefetched(opened(base, RANDOM)), Cursor()
    # A ramp, a rewind and a skip: what was read ahead is not what is asked for.
    for size, micro, step in [(4, 2, None), (4, 2, None), (8, 2, None), (8, 4, Cursor()), (8, 4, None), (8, 4, "skip")]:
        if step == "skip":
            cursor = source.skip(cursor, 3)
        elif isinstance(step, Cursor):
            cursor = step
        expected, after = source.take(cursor, size, micro)
        batches, cursor = ahead.take(cursor, size, micro)
        assert cursor == after
        assert list(map(whole, batches)) == list(map(whole, expected))


def test_the_end_ahead_is_told_when_it_is_reached(base: Path) -> None:
    ahead = Prefetched(opened(base, mixture=mixture("letters", epochs={"letters": 1}), total=9))
    _, cursor = ahead.take(Cursor(), 5, 5)
    _, cursor = ahead.take(cursor, 4, 4)
    with pytest.raises(DataEnded, match="drawn through after 9 sequences"):
        ahead.take(cursor, 4, 4)


# ---------------------------------------------------------------------------- what cannot be


def test_a_mixture_drawn_through_ends_the_training(base: Path) -> None:
    schedule = [{"at": 0, "weights": {"letters": 1}}, {"at": 0.5, "weights": {"digits": 1}}]
    source = opened(base, mixture={"schedule": schedule, "epochs": {"letters": 2, "digits": 1}}, total=40)
    cursor = source.skip(Cursor(), 16)
    with pytest.raises(DataEnded, match=r"drawn through after 18 sequences: each of its sources .* raise them"):
        source.take(cursor, 8, 8)
    with pytest.raises(DataEnded):
        source.skip(cursor, 8)
    assert source.take(cursor, 2, 2)[1].position == 18


def test_too_few_epochs_are_told_before_the_training(base: Path) -> None:
    options = mixture("letters", epochs={"letters": 1.5})
    with pytest.raises(TrainingError, match="takes 15 sequences, but the mixture's epochs let 14 be drawn"):
        opened(base, mixture=options, total=15)
    opened(base, mixture=options, total=14)
    opened(base, mixture=mixture("letters", "digits", epochs={"letters": 1.5}), total=1000)


def test_a_context_that_nothing_fills(base: Path) -> None:
    with pytest.raises(TrainingError, match=r"no source fills one sequence of 1,001 tokens .* shorter context"):
        opened(base, context=1000)
    with pytest.raises(CorpusError, match="'small' fills not one sequence"):
        opened(base, mixture=mixture("small"))


def test_a_mixture_of_other_sources(base: Path) -> None:
    with pytest.raises(CorpusError, match="no source is named 'digit'; there are: digits, letters, small"):
        opened(base, mixture=mixture("digit"))


def test_a_model_that_knows_fewer_ids(base: Path) -> None:
    opened(base).corpus.require_vocabulary(257)
    with pytest.raises(CorpusError, match="ids up to 256, but the model knows 256 ids"):
        opened(base).corpus.require_vocabulary(256)


def test_a_truncated_shard(tmp_path: Path) -> None:
    base = made(tmp_path / "own", TEXTS)
    shard = base / "corpus" / "digits" / "00001.tokens"
    shard.write_bytes(shard.read_bytes()[:-3])
    with pytest.raises(CorpusError, match=r"digits/00001.tokens: has \d+ bytes and should have \d+; delete 00001.json"):
        opened(base)


def test_no_corpus(base: Path) -> None:
    with pytest.raises(CorpusError, match=r"no finished corpus .* build it with `evalharness corpus build`"):
        opened(base, corpus="nothing")


def test_a_batch_that_is_too_large_or_does_not_divide(base: Path) -> None:
    with pytest.raises(TrainingError, match=r"A batch of 10 sequences is more than the 9 .* smaller batch"):
        opened(base, mixture=mixture("letters")).take(Cursor(), 10, 5)
    with pytest.raises(TrainingError, match="A batch of 9 sequences does not divide among 2 ranks"):
        opened(base, ranks=2).take(Cursor(), 9, 3)


def test_too_little_is_held_out(base: Path) -> None:
    with pytest.raises(TrainingError, match="Validation on 5 sequences, but 4 are held out"):
        opened(base, validation={"sequences": 2}).validation(5, 5)
    with pytest.raises(TrainingError, match="Validation on 1 sequences, but 0 are held out"):
        opened(base).validation(1, 1)


def test_validation_of_another_tokenizer(tmp_path: Path, base: Path) -> None:
    own = made(tmp_path / "own", TEXTS)
    path = own / "corpus" / "corpus.json"
    facts = json.loads(path.read_text())
    facts["tokenizer"] |= {"name": "words", "fingerprint": "another"}
    path.write_text(json.dumps(facts))
    with pytest.raises(TrainingError, match="made with the tokenizer 'words', which is not that of"):
        opened(base, validation={"corpus": str(own / "corpus")})


def test_a_marker_must_stand_in_documents_that_are_told_apart(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def objective(marker: str) -> Objective:
        options = ObjectiveOptions(name="prefix_lm", split="marker", marker=marker)
        return Objective(options, marker_ids=list(marker.encode()))

    monkeypatch.setattr(data, "AT_ONCE", 1)
    (found,), _ = opened(base, objective("?="), mixture=mixture("letters")).take(Cursor(), 9, 9)
    assert found.weights_BT.sum() > 0
    with pytest.raises(TrainingError, match=r"no document of 'digits' holds the objective's marker '\?='"):
        opened(base, objective("?="))
    with pytest.raises(TrainingError, match=r"looked for in each document, so data\.boundaries must be true"):
        opened(base, objective("?="), mixture=mixture("letters"), boundaries=False)
    # The ids of two documents, one after the other, hold no marker.
    assert "9 0" in "".join(text + " " for text in TEXTS["digits"])
    with pytest.raises(TrainingError, match="no document of 'digits'"):
        opened(base, objective("90"), mixture=mixture("digits"))
