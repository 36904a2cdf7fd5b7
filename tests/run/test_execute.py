"""Samples are admitted in order under a budget, and what a line says depends on its own sample alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from e2e.fake import Fake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalharness.backends.batching import Waves
from evalharness.run import execute as module
from evalharness.run.accounting import Usage
from evalharness.run.options import RunOptions
from evalharness.run.plan import Cell, plan
from evalharness.types import Request, Result, Sample, Wave


def cell(task: str, **options: Any) -> Cell:
    (found,) = plan(RunOptions(task=(task,), **options))
    return found


def lines(found: Cell, samples: list[Sample], backend: Any = None) -> dict[str, Mapping[str, Any]]:
    """The journal lines of some samples, by id."""
    written: dict[str, Mapping[str, Any]] = {}
    asyncio.run(
        module.execute(found, backend or Fake(), samples, lambda line: written.update({line["id"]: line}), Usage())
    )
    return written


CELLS = [
    ("gsm8k", {"set": {"demonstrations": {"policy": "random"}}}),
    ("gsm8k", {"repeats": 3, "set": {"decode": {"temperature": 1.0}}}),
    ("gsm8k", {"method": "zero_shot_chain_of_thought"}),
    ("arc_easy", {"shots": 3, "set": {"demonstrations": {"policy": "random"}}}),
    ("wikitext", {}),
]


@pytest.mark.parametrize(("task", "options"), CELLS)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_order_and_company_never_change_a_line(task: str, options: dict[str, Any], data: st.DataObject) -> None:
    found = cell(task, limit=12, **options)
    whole = lines(found, list(found.samples))
    some = data.draw(st.permutations(found.samples))[: data.draw(st.integers(1, 12))]
    assert lines(found, some) == {sample.id: whole[sample.id] for sample in some}


class Watching(Fake):
    """Answers a request at a time and notes what was pending meanwhile."""

    waves: Waves

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self.order: list[str] = []

    def answer(self, wave: Wave) -> None:
        waiting = list(wave)
        while waiting:
            self.most = max(self.most, self.waves.pending_tokens)
            ticket = waiting.pop(0)
            self.order.append(ticket.request.origin.sample_id)
            super().answer(_One(ticket))
            waiting += wave.joined()


class _One(list[Any]):
    def __init__(self, ticket: Any) -> None:
        super().__init__([ticket])

    def more(self) -> bool:
        return False

    def joined(self) -> list[Any]:
        return []


@pytest.mark.parametrize(("task", "over"), [("gsm8k", 1), ("arc_easy", 2)])
def test_pending_tokens_stay_below_the_budget(task: str, over: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one sample at most it is exceeded; where a sample gathers its requests they come a turn later: by two."""
    found = cell(task, shots=0)
    largest: dict[str, int] = {}

    class Counted(Waves):
        def __init__(self, backend: Any, **options: Any) -> None:
            super().__init__(backend, **options)
            backend.waves = self

        async def ask(self, request: Request) -> Result:
            size = len(request.ids or ()) if hasattr(request, "ids") else len(request.prompt.ids or ())
            largest[request.origin.sample_id] = largest.get(request.origin.sample_id, 0) + size
            return await super().ask(request)

    monkeypatch.setattr(module, "Waves", Counted)
    monkeypatch.setattr(module, "PENDING_TOKENS", 700)
    backend = Watching()
    assert len(lines(found, list(found.samples), backend)) == 60
    assert 700 <= backend.most < 700 + over * max(largest.values())
    firsts = list(dict.fromkeys(backend.order))
    assert firsts == [sample.id for sample in found.samples]


def test_samples_on_their_way_stay_below_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    found = cell("gsm8k")
    monkeypatch.setattr(module, "RUNNING_SAMPLES", 7)
    sizes: list[int] = []

    class Counted(Fake):
        def answer(self, wave: Wave) -> None:
            sizes.append(len(wave))
            super().answer(wave)

    assert len(lines(found, list(found.samples), Counted())) == 60
    assert max(sizes) == 7


def test_every_sample_of_a_wave_goes_down_together() -> None:
    found = cell("arc_easy")
    sizes: list[int] = []

    class Counted(Fake):
        def answer(self, wave: Wave) -> None:
            sizes.append(len(wave))
            super().answer(wave)

    lines(found, list(found.samples), Counted())
    assert sizes == [60 * 4]


def test_an_error_of_one_sample_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = cell("arc_easy", limit=6)
    broken = [
        replace(sample, row={**sample.row, "answerKey": "Z"}) if n == 2 else sample
        for n, sample in enumerate(found.samples)
    ]
    written = lines(found, broken)
    failed = [id for id, line in written.items() if line.get("error")]
    assert failed == [broken[2].id]
    assert written[failed[0]]["flags"] == ["errored"]
    assert written[failed[0]]["scores"] == {}
