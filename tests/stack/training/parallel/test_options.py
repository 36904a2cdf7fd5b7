"""The section `parallel`: what goes together, and what is refused in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from stack.training.tiny_pretraining import options

from evalharness.stack.errors import TrainingError
from evalharness.stack.training.parallel.options import Division, ParallelOptions
from evalharness.stack.training.parallel.stage import blocks_of
from evalharness.stack.training.parallel.training import checked


def test_data_take_the_processes_that_remain() -> None:
    assert ParallelOptions().division(3) == Division(data=3)
    assert ParallelOptions(sharded=True, tensor=2).division(8) == Division(data=4, tensor=2, sharded=True)
    assert ParallelOptions(tensor=2, pipeline=3).division(6) == Division(pipeline=3, tensor=2)


@pytest.mark.parametrize(
    ("section", "count", "sentence"),
    [
        ({"data": 2}, 1, "data 2 x tensor 1 x pipeline 1 make 2 processes, and here is 1;"),
        ({"data": 2, "tensor": 2, "sharded": True}, 8, "data 2 x tensor 2 x pipeline 1 make 4 processes, and here are"),
        ({"tensor": 3}, 4, "tensor 3 x pipeline 1 need a multiple of 3 processes, and here are 4;"),
        ({"tensor": 2}, 1, "tensor 2 x pipeline 1 need a multiple of 2 processes, and here is 1;"),
        ({"pipeline": 2}, 4, "data are divided only together with the weights; set sharded: true"),
    ],
)
def test_processes_that_do_not_come_out_even(section: dict[str, Any], count: int, sentence: str) -> None:
    with pytest.raises(TrainingError, match=sentence):
        ParallelOptions.model_validate(section).division(count)


def test_where_a_process_stands() -> None:
    division = Division(pipeline=2, data=3, tensor=2, sharded=True)
    assert [division.stage_of(rank) for rank in range(12)] == [0] * 6 + [1] * 6
    assert [division.data_of(rank) for rank in range(12)] == [0, 0, 1, 1, 2, 2] * 2


def test_what_splits_a_model() -> None:
    assert not Division(data=4).splits
    assert not Division(data=1, sharded=True).splits
    assert Division(data=2, sharded=True).splits
    assert Division(tensor=2).splits
    assert Division(pipeline=2).splits


def test_blocks_of_stages() -> None:
    assert [list(blocks_of(stage, 3, 7)) for stage in range(3)] == [[0, 1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("changes", "division", "sentence"),
    [
        ({}, Division(tensor=4), r"4 processes cannot share 2 heads evenly; take a number that divides heads \(2\)"),
        ({"model": {"ffn_width": 33}}, Division(tensor=2), "2 processes cannot share 33 ffn_width evenly"),
        ({"batch": {"micro": None}}, Division(pipeline=2), "give batch.micro"),
        ({}, Division(pipeline=3), "2 blocks do not make 3 stages"),
        ({"model": {"tied_embeddings": True}}, Division(pipeline=2), "set model.tied_embeddings: false"),
        ({"model": {"experts": 2}}, Division(pipeline=2), "set balance_loss: 0"),
        ({"batch": {"micro": 4}}, Division(pipeline=2), "4 sequences make 1 micro-batches of 4 in each of 1 parts"),
        ({"compute": {"compile": True}}, Division(tensor=2), "set compile: false"),
        (
            {"optimizer": [{"kind": "matrix", "name": "muon", "rate": 0.01}, {"rate": 0.01}]},
            Division(data=2, sharded=True),
            "muon needs whole matrices, and parallel splits them",
        ),
    ],
)
def test_models_that_cannot_be_divided_so(changes: dict[str, Any], division: Division, sentence: str) -> None:
    given = options(**changes)
    config = given.model.to_config(vocab_size=257, max_length=16, bos_id=None, eos_ids=())
    with pytest.raises(TrainingError, match=sentence):
        checked(given, config, division)
