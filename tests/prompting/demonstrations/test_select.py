"""Demonstrations depend on the sample alone, and a sample is never its own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalharness.errors import DataError, UsageError
from evalharness.hashing import canonical_json, sha256_text
from evalharness.prompting.demonstrations.options import DemonstrationOptions
from evalharness.prompting.demonstrations.select import demonstration_hash, selector
from evalharness.types import Sample


def _sample(index: int, text: str | None = None) -> Sample:
    row = {"question": text or f"question {index}"}
    return Sample(id=str(index), index=index, row=row, content_hash=sha256_text(canonical_json(row)))


POOL = [_sample(index) for index in range(12)]
PINNED_DRAW = ["9", "0", "10", "6"]


def _select(
    policy: str, shots: int, pool: Sequence[Sample] = POOL, *, seed: int = 0, task: str = "own", **more: Any
) -> Any:
    options = DemonstrationOptions(policy=policy, shots=shots, split="train", **more)
    return selector(options, pool, task=task, seed=seed, pool_size=len(pool))


def _ids(rows: Sequence[Sample]) -> list[str]:
    return [row.id for row in rows]


policies = st.sampled_from(
    [{"policy": "first_n"}, {"policy": "random"}, {"policy": "fixed", "positions": (3, 1, 4, 8, 5, 9)}]
)


@settings(max_examples=200)
@given(policy=policies, shots=st.integers(1, 5), index=st.integers(0, 30), seed=st.integers(0, 5))
def test_a_sample_is_never_its_own_demonstration(policy: dict[str, Any], shots: int, index: int, seed: int) -> None:
    """Nor is another row with its content: the evaluated split may repeat a row of the pool under another name."""
    sample = _sample(100 + index, text=f"question {index}")
    shown = _select(shots=shots, seed=seed, **policy)(sample)
    assert len(shown) == len(set(_ids(shown))) == shots
    assert sample.content_hash not in {row.content_hash for row in shown}


@settings(max_examples=100)
@given(
    policy=policies | st.just({"policy": "lm_eval"}) | st.just({"policy": "lm_eval", "extra_draw": True}),
    shots=st.integers(0, 5),
    order=st.permutations(range(10)),
    limit=st.integers(1, 10),
)
def test_order_and_limit_change_nothing(policy: dict[str, Any], shots: int, order: list[int], limit: int) -> None:
    samples = [_sample(index, text=f"asked {index}") for index in range(10)]
    in_order, shuffled = _select(shots=shots, **policy), _select(shots=shots, **policy)
    expected = {sample.id: _ids(in_order(sample)) for sample in samples}
    assert {samples[i].id: _ids(shuffled(samples[i])) for i in order[:limit]} == {
        samples[i].id: expected[samples[i].id] for i in order[:limit]
    }


def test_first_n_shows_the_first_rows_in_their_order() -> None:
    assert _ids(_select("first_n", 3)(_sample(50))) == ["0", "1", "2"]
    assert _ids(_select("first_n", 3)(_sample(1))) == ["0", "2", "3"]


def test_fixed_positions_are_of_the_original_split() -> None:
    part = POOL[::2]
    assert _ids(_select("fixed", 2, part, positions=(8, 4))(_sample(50))) == ["8", "4"]
    with pytest.raises(DataError, match="names row 3, which the pool does not have"):
        _select("fixed", 2, part, positions=(4, 3))


def test_random_depends_on_seed_task_and_id_only() -> None:
    def drawn(identity: str, index: int = 0, text: str = "asked", **more: Any) -> list[str]:
        row = {"question": text}
        return _ids(_select("random", 4, **more)(Sample(id=identity, index=index, row=row, content_hash=text)))

    reference = drawn("a")
    assert drawn("a", index=7, text="reworded") == reference
    others = [drawn("b"), drawn("a", seed=1), drawn("a", task="other")]
    assert reference not in others
    # Pinned: a change of the draw changes every score under this policy.
    assert reference == PINNED_DRAW


def test_random_draws_every_row_about_equally_often() -> None:
    select = _select("random", 3)
    counts = dict.fromkeys(_ids(POOL), 0)
    for index in range(1200):
        for identity in _ids(select(_sample(1000 + index))):
            counts[identity] += 1
    assert all(220 < count < 380 for count in counts.values())  # 300 expected, standard deviation 15


def test_lm_eval_carries_its_state_from_document_to_document() -> None:
    """Its sampler by definition: one `random.Random(1234)`, one `sample` a document."""
    state = random.Random(1234)
    expected = [_ids(state.sample(POOL, 4)) for _ in range(6)]
    select = _select("lm_eval", 4)
    assert [_ids(select(_sample(index, text="asked"))) for index in range(6)] == expected


def test_lm_eval_draws_one_more_and_drops_the_sample() -> None:
    state = random.Random(1234)
    drawn = state.sample(POOL, 4)
    select = _select("lm_eval", 3, extra_draw=True)
    assert _ids(select(_sample(0, text="asked"))) == _ids(drawn[:3])
    itself = Sample(id="x", index=0, row=drawn[1].row, content_hash=drawn[1].content_hash)
    assert _ids(select(itself)) == _ids([drawn[0], *drawn[2:]])


def test_lm_eval_needs_the_whole_pool() -> None:
    options = DemonstrationOptions(policy="lm_eval", shots=2, split="train")
    with pytest.raises(UsageError, match="draws from all 20 rows of the pool and 12 are here"):
        selector(options, POOL, task="own", seed=0, pool_size=20)


def test_lm_eval_refuses_a_draw_that_it_cannot_replay() -> None:
    twins = [_sample(index, text="twin") for index in range(3)]
    with pytest.raises(DataError, match="stands twice among its own demonstrations"):
        _select("lm_eval", 2, twins, extra_draw=True)(_sample(0, text="twin"))


@pytest.mark.parametrize(("policy", "extra", "most"), [("first_n", False, 12), ("lm_eval", True, 11)])
def test_more_than_the_pool_holds(policy: str, extra: bool, most: int) -> None:
    with pytest.raises(UsageError, match=f"the pool holds 12 rows; ask for --shots {most} at most"):
        _select(policy, most + 1, extra_draw=extra)


def test_a_sample_of_a_pool_that_has_no_row_to_spare() -> None:
    with pytest.raises(DataError, match="ask for one shot less"):
        _select("first_n", 12)(_sample(3))


def test_no_shots_need_no_pool() -> None:
    assert list(_select("first_n", 0, [])(_sample(1))) == []


def _hash(pool: Sequence[Sample] = POOL, seed: int = 0, **options: Any) -> str:
    return demonstration_hash(DemonstrationOptions(**{"split": "train", "shots": 3, **options}), pool, seed)


def test_the_hash_of_fixed_demonstrations_covers_what_is_shown() -> None:
    changed = [*POOL[:1], _sample(1, text="changed"), *POOL[2:]]
    assert _hash() == _hash(seed=9) == _hash(POOL[:5])
    assert len({_hash(), _hash(changed), _hash(shots=2), _hash(shots=0)}) == 4


def test_the_hash_of_drawn_demonstrations_covers_rule_pool_and_seed() -> None:
    hashes = {
        _hash(policy="random"),
        _hash(policy="random", seed=1),
        _hash(policy="random", shots=2),
        _hash(POOL[:5], policy="random"),
        _hash(policy="lm_eval"),
        _hash(policy="lm_eval", extra_draw=True),
    }
    assert len(hashes) == 6


def test_the_hash_of_fixed_positions_knows_their_order() -> None:
    assert _hash(policy="fixed", positions=(5, 2, 7)) != _hash(policy="fixed", positions=(7, 2, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "train", "file": "x.jsonl"}, "one pool only"),
        ({"policy": "fixed", "split": "train"}, "takes rows, or positions"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DemonstrationOptions(**options)
