"""Jobs that are all at hand."""

from __future__ import annotations

import pytest

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.engine.engine import Engine
from evalharness.stack.engine.requests import GenerateJob, Kept, ScoreJob, answers


def engine_of(model: Decoder, **options: int) -> Engine:
    return Engine(model, str, numerics="exact", check=True, **options)


def test_results_come_in_the_order_of_the_jobs(tiny_model: Decoder) -> None:
    lengths = (7, 2, 5)
    jobs = [GenerateJob(ids=(1, 2, 3, number), max_tokens=length) for number, length in enumerate(lengths)]
    scores = [ScoreJob(ids=tuple(range(3, 3 + length)), start=1) for length in (30, 2, 9)]
    texts = answers(engine_of(tiny_model), jobs)
    assert [len(text.ids) for (text,) in texts] == list(lengths)
    found = answers(engine_of(tiny_model), scores)
    assert [len(each.log_likelihoods) for each in found] == [29, 1, 8]
    engine = engine_of(tiny_model)
    again = [job for pair in zip(scores, jobs, strict=True) for job in pair]
    assert answers(engine, again) == [result for pair in zip(found, texts, strict=True) for result in pair]
    assert answers(engine, []) == []


def test_what_fails_is_raised(tiny_model: Decoder) -> None:
    engine = engine_of(tiny_model, kv_bytes=1)
    with pytest.raises(MemoryError, match="one request needs"):
        answers(engine, [GenerateJob(ids=(1, 2, 3), max_tokens=5)])
    engine = engine_of(tiny_model)
    assert len(answers(engine, [ScoreJob(ids=(1, 2, 3), start=2)])) == 1


def test_each_job_has_a_listener_of_its_own() -> None:
    one, other = (ScoreJob(ids=(1, 2), start=1) for _ in range(2))
    assert isinstance(one.listener, Kept)
    assert one.listener is not other.listener
