"""Workers: what they find, what ends them, and that the next comparison is answered all the same."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from evalharness.errors import ServiceError
from evalharness.scoring.symbolic import workers as module
from evalharness.scoring.symbolic.workers import Undecided, Workers

pytest.importorskip("math_verify")


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(2)
    yield made
    made.close_idle()


def _processes() -> set[int]:
    """Children of this process that run a worker."""
    found = set()
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat") as stat, open(f"/proc/{entry}/cmdline") as command:
                parent = int(stat.read().rpartition(")")[2].split()[1])
                if parent == os.getpid() and "symbolic.worker" in command.read():
                    found.add(int(entry))
        except (OSError, ValueError):
            continue
    return found


def test_formulas(workers: Workers) -> None:
    assert workers.compare("formulas", r"\frac{1}{2}", "0.5", 20)
    assert workers.compare("formulas", "(x+1)^2", "x^2+2x+1", 20)
    assert not workers.compare("formulas", r"\frac{1}{2}", "0.51", 20)
    assert workers.compare("minerva", r"\frac{\sqrt{8}}{2}", r"\sqrt{2}", 20)


@pytest.mark.parametrize("answer", ["9**9**9", "9^{9^{9}}", "9!!!!!", "((10^{10})!)!"])
def test_what_never_ends_is_undecided_and_the_next_one_is_answered(workers: Workers, answer: str) -> None:
    began = time.monotonic()
    with pytest.raises(Undecided, match="more than"):
        workers.compare("formulas", "9", answer, 2)
    assert time.monotonic() - began < 30
    assert workers.compare("formulas", "9", "3^2", 20)


def test_deep_nesting_is_undecided_or_unequal(workers: Workers) -> None:
    with suppress(Undecided):
        assert not workers.compare("formulas", "1", r"\frac{" * 3000 + "(" * 3000, 3)
    assert workers.compare("formulas", "1", "1.0", 20)


def test_many_threads_share_few_processes(workers: Workers) -> None:
    pairs = [(str(n), f"{2 * n}/2") for n in range(40)]
    before = _processes()
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda pair: workers.compare("formulas", *pair, 30), pairs))
    assert len(_processes() - before) <= 2
    workers.close_idle()
    assert _processes() <= before
    assert workers.compare("formulas", "2", "2.0", 20)  # a new process is started


def test_a_worker_that_was_killed_is_replaced(workers: Workers) -> None:
    before = _processes()
    assert workers.compare("formulas", "2", "2.0", 20)
    (worker,) = _processes() - before
    os.kill(worker, 9)
    with pytest.raises(Undecided, match="status -9"):
        workers.compare("formulas", "2", "4/2", 20)
    assert workers.compare("formulas", "2", "4/2", 20)


def test_a_missing_package_is_named_and_leaves_no_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers(1)
    monkeypatch.setattr(module, "missing_package", lambda: "math_verify")
    for _ in range(3):
        with pytest.raises(ServiceError, match=r"'math_verify'; pip install 'evalharness\[math\]'"):
            workers.compare("formulas", "1", "1.0", 5)
