"""Leanings under the `lm-eval` protocols are what lm-eval's own functions make of the same log-likelihoods."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parity.lm_eval_oracle import by_document, scores, shared_oracle
from parity.rows import BENCHMARKS

from evalharness.records.run import score_record
from evalharness.tasks.task import Task, load_task
from evalharness.types import Attempt, Likelihood, Reference, Sample, Score

LOG_LIKELIHOODS = st.floats(-400, -1e-3) | st.sampled_from([-1.0, -2.0])


@cache
def _theirs(name: str) -> tuple[Any, list[list[Any]]]:
    task = shared_oracle().task(BENCHMARKS[name].lm_eval, BENCHMARKS[name].splits)
    return task, by_document(task)


@cache
def _ours(name: str) -> tuple[Task, tuple[Reference, ...]]:
    task = load_task(name, protocol="lm-eval")
    samples = [
        Sample(id=str(n), index=n, row=row, content_hash="c", subset=name.partition("/")[2] or None)
        for n, row in enumerate(BENCHMARKS[name].rows)
    ]
    return task, tuple(task.renderer.reference(sample) for sample in samples)


def _drawn(name: str, data: st.DataObject) -> list[list[float]]:
    return [data.draw(st.lists(LOG_LIKELIHOODS, min_size=len(each), max_size=len(each))) for each in _theirs(name)[1]]


def _their_scores(name: str, said: Sequence[Sequence[float]]) -> list[dict[str, Any]]:
    task, documents = _theirs(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an average of nothing
        return scores(task, documents, [[(value, False) for value in values] for values in said])


def _our_scores(name: str, said: Sequence[Sequence[float]]) -> dict[str, list[Score]]:
    task, references = _ours(name)
    found: dict[str, list[Score]] = {metric.name: [] for metric in task.metrics}
    for values, reference in zip(said, references, strict=True):
        attempt = Attempt(calls=(), likelihoods=tuple(Likelihood((value,), (False,)) for value in values))
        for label, score in task.scorer.score(attempt, reference).scores.items():
            found[label].append(score)
    return found


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_crows_pairs(data: st.DataObject) -> None:
    said = _drawn("crows_pairs", data)
    theirs, ours = _their_scores("crows_pairs", said), _our_scores("crows_pairs", said)
    for label, found in ours.items():
        assert [score.value for score in found] == [each[label] for each in theirs]
    assert set(ours) == set(theirs[0])


def test_what_is_asked_about_bbq_is_right_and_biased_where_lm_eval_says_so() -> None:
    from lm_eval.tasks.bbq import utils

    _, documents = _theirs("bbq/Age")
    for instances, reference in zip(documents, _ours("bbq/Age")[1], strict=True):
        doc = instances[0].doc
        assert list(reference.choices) == utils.doc_to_choice(doc)
        targets = [target for target in utils.doc_to_targets(doc) if target < len(reference.choices)]
        assert list(reference.target) == targets  # type: ignore[arg-type]
        assert reference.facts["biased"] == utils.doc_to_biased_answer(doc)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_bbq(data: st.DataObject) -> None:
    """Where no answer agrees with a stereotype, lm-eval says 0, though all may be against it: a declared defect."""
    said = _drawn("bbq/Age", data)
    theirs, ours = _their_scores("bbq/Age", said), _our_scores("bbq/Age", said)
    aggregation = _theirs("bbq/Age")[0].aggregation()
    for metric in _ours("bbq/Age")[0].metrics:
        found = ours[metric.name]
        record = score_record(
            [score.value for score in found],
            [score.weight for score in found],
            [str(number) for number in range(len(found))],
            aggregate=metric.aggregate,
            higher_is_better=metric.higher_is_better,
        )
        expected = float(aggregation[metric.name]([each[metric.name] for each in theirs]))
        if metric.metric == "bias_score" and not any(score.value > 0 for score in found):
            assert expected == 0
            assert record.value is None or record.value <= 0
        else:
            assert record.value == pytest.approx(expected, abs=1e-12)
