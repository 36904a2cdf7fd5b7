"""The benchmark's ladder spends what it says: fitted budgets over 1.5 decades, and three times that on the last run."""

from __future__ import annotations

import importlib.util
import math
import sys
from types import ModuleType

import pytest
from e2e.command import CLONE


@pytest.fixture(scope="module")
def ladder() -> ModuleType:
    pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location("ladder", CLONE / "benchmarks/scaling/ladder.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["ladder"] = module
    spec.loader.exec_module(module)
    return module


def test_budgets(ladder: ModuleType) -> None:
    rungs = list(ladder.ladder(1.0))
    spent = [6 * ladder.parameters(rung.model) * rung.steps * ladder.SEQUENCES * ladder.CONTEXT for rung in rungs]
    wanted = [budget for budget, names in ladder.BUDGETS.items() for _ in names]
    assert spent == pytest.approx(wanted, rel=0.01)
    *fitted, largest = sorted(spent)
    assert math.log10(fitted[-1] / fitted[0]) >= 1.49
    assert largest >= 3 * fitted[-1]
    assert len({rung.name for rung in rungs}) == len(rungs)


def test_names_say_the_parameters(ladder: ModuleType) -> None:
    for name, (layers, width, heads) in ladder.SIZES.items():
        size = ladder.parameters({"layers": layers, "width": width, "heads": heads, "tied_embeddings": True})
        said = float(name[:-1]) * {"k": 1e3, "m": 1e6}[name[-1]]
        assert size == pytest.approx(said, rel=0.04)
