"""Calibration and positions of choices against other implementations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from report.journals import random_choices

from evalharness.report.choices import (
    Calibration,
    Choice,
    calibration,
    choice_of,
    marginal_homogeneity,
    positions,
    softmax,
)


def _line(totals: list[float], target: Any = 0, **more: Any) -> dict[str, Any]:
    return {
        "target": target,
        "choices": [f"box {each}" for each in range(len(totals))],
        "log_likelihoods": totals,
    } | more


def _choices(n: int, count: int = 4) -> tuple[list[Choice], list[list[float]], list[int]]:
    totals, right = random_choices(n, count)
    found = [choice_of(_line(row, gold)) for row, gold in zip(totals, right, strict=True)]
    return [choice for choice in found if choice is not None], totals, right


@pytest.fixture(scope="module")
def known() -> tuple[Calibration, np.ndarray, np.ndarray]:
    choices, totals, right = _choices(500)
    found = calibration(choices)
    assert found is not None
    shares_NK = np.exp(np.array(totals))
    return found, shares_NK / shares_NK.sum(1, keepdims=True), np.array(right)


def test_brier_is_that_of_scikit_learn(known: tuple[Calibration, np.ndarray, np.ndarray]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    found, shares_NK, right_N = known
    assert found.brier == pytest.approx(metrics.brier_score_loss(right_N, shares_NK, labels=[0, 1, 2, 3]), abs=1e-12)


def test_expected_calibration_error_is_that_of_its_formula(known: tuple[Calibration, np.ndarray, np.ndarray]) -> None:
    found, shares_NK, right_N = known
    confidence_N, hit_N = shares_NK.max(1), shares_NK.argmax(1) == right_N
    bin_N = np.digitize(confidence_N, np.linspace(0, 1, 11)[1:-1])
    error = sum(
        (bin_N == each).mean() * abs(hit_N[bin_N == each].mean() - confidence_N[bin_N == each].mean())
        for each in np.unique(bin_N)
    )
    assert found.error == pytest.approx(error, abs=1e-12)
    assert [point.n for point in found.bins] == np.bincount(bin_N, minlength=10).tolist()


def test_a_sure_choice_is_in_the_last_bin() -> None:
    found = calibration([choice for choice in [choice_of(_line([0.0, -2000.0]))] if choice])
    assert found is not None
    assert found.bins[-1].n == 1
    assert found.error == 0


@pytest.mark.parametrize(
    "line",
    [
        _line([-1.0, -2.0], target=[0, 1]),
        _line([-1.0, -2.0], target=7),
        _line([-1.0, -2.0], error="the server did not answer"),
        _line([-1.0]),
        {"target": "4", "log_likelihoods": []},
    ],
    ids=["several right ones", "no such choice", "failed", "one choice", "a text"],
)
def test_what_is_no_single_choice(line: dict[str, Any]) -> None:
    assert choice_of(line) is None


def test_impossible_choices_have_no_share() -> None:
    assert softmax([-math.inf, 0.0]) == [0.0, 1.0]


@pytest.mark.parametrize("totals", [[math.nan, -1.0], [-math.inf, -math.inf]])
def test_without_numbers_there_is_no_confidence(totals: list[float]) -> None:
    found = choice_of(_line(totals))
    assert found is not None
    assert (found.chosen, found.confidence) == (None, None)


@pytest.mark.parametrize(("answer", "chosen"), [("B", 1), ("box 1", 1), ("Z", None), (None, None)])
def test_a_choice_that_was_said(answer: str | None, chosen: int | None) -> None:
    line = {"target": 0, "choices": ["box 0", "box 1"], "log_likelihoods": [], "answer": answer}
    found = choice_of(line)
    assert found is not None
    assert (found.chosen, found.confidence) == (chosen, None)


def test_the_table_of_positions_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    choices, totals, right = _choices(300)
    found = positions(choices)
    assert found is not None
    assert np.array(found.table).tolist() == metrics.confusion_matrix(right, np.argmax(totals, 1)).tolist()
    assert sum(found.chosen) == sum(found.right) == found.n == 300


@pytest.mark.parametrize("size", [2, 3, 5])
def test_marginal_homogeneity_is_that_of_statsmodels(size: int) -> None:
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    table = np.random.default_rng(size).integers(1, 30, (size, size))
    expected = tables.SquareTable(table, shift_zeros=False).homogeneity(method="stuart_maxwell").pvalue
    assert marginal_homogeneity(table.tolist()) == pytest.approx(expected, rel=1e-9)


def test_of_two_positions_it_is_the_chi_square_of_mcnemar() -> None:
    stats = pytest.importorskip("scipy.stats")
    assert marginal_homogeneity([[50, 30], [10, 60]]) == pytest.approx(stats.chi2.sf((30 - 10) ** 2 / 40, 1))


def test_a_position_that_nobody_chose_takes_no_degree_of_freedom() -> None:
    with_it = [[50, 30, 0], [10, 60, 0], [0, 0, 0]]
    assert marginal_homogeneity(with_it) == pytest.approx(marginal_homogeneity([[50, 30], [10, 60]]))


def test_a_model_that_is_always_right_has_no_bias() -> None:
    assert marginal_homogeneity([[40, 0], [0, 7]]) == 1.0


def test_guesses_without_bias_are_called_biased_one_time_in_twenty() -> None:
    """A plain chi-square against the right counts would find bias in a quarter of them."""
    draw = np.random.default_rng(0)
    found = 0
    for _ in range(400):
        right, chosen = draw.integers(0, 4, (2, 200))
        table = np.zeros((4, 4), int)
        np.add.at(table, (right, chosen), 1)
        found += marginal_homogeneity(table.tolist()) < 0.05
    assert found <= 35
