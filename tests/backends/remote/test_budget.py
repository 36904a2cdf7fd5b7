"""Prices by name, and what a run has spent."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalharness.backends.remote.budget import Budget, Price, price_of
from evalharness.errors import BudgetError, DataError


def test_a_dated_version_has_the_price_of_its_name_and_no_other_model_has() -> None:
    assert price_of("gpt-4o-2024-08-06") == price_of("gpt-4o")
    assert price_of("gpt-4o-mini-2024-07-18") == price_of("gpt-4o-mini") != price_of("gpt-4o")
    assert price_of("openai/gpt-5-nano") == price_of("gpt-5-nano")
    assert price_of("gpt-4o-audio") is None
    assert price_of("my-model") is None


def test_a_malformed_table_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text("models: {m: {input: 1}}\n")
    with pytest.raises(DataError, match="no table of prices"):
        price_of("m", tmp_path / "prices.yaml")


def test_cost_is_counted_and_bounded() -> None:
    budget = Budget(price=Price(input=1000, output=2000, date="2026-01-31"), max_cost=0.01)
    budget.check()
    budget.used({"prompt_tokens": 4, "completion_tokens": 3})
    assert budget.cost == pytest.approx(0.01)
    with pytest.raises(BudgetError, match=r"the budget of \$0.01 is spent"):
        budget.check()
    assert budget.taken() == pytest.approx({"prompt_tokens": 4, "completion_tokens": 3, "cost": 0.01})
    assert budget.taken() == {}
