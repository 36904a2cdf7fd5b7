"""Every hostile program works where its protection is left out, and gets nothing where it is there."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from sandbox.hostile import ATTACKS, Attack, marked
from sandbox.users import readable_copy, run_as, users

LEVELS = ("bwrap", "landlock")
SCRIPT = Path(__file__).with_name("hostile.py")
KERNEL_MAY_REFUSE = {"packages", "userfaultfd", "ia32"}
"""What a machine may lack; then there is nothing to contain."""


@cache
def _told(level: str, user: str, folder: Path) -> dict[str, dict[str, object]]:
    _there(level)
    told: dict[str, dict[str, object]] = run_as(user, SCRIPT, "attack", level, folder=folder)
    return told


def _there(level: str) -> None:
    if level == "bwrap" and not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with readable_copy() as made:
        yield made


@pytest.mark.parametrize("user", users())
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_contained(attack: Attack, level: str, user: str, folder: Path) -> None:
    if level not in attack.levels:
        pytest.skip(f"{level} refuses what this program needs before it starts")
    if attack.needs == "x86_64" and platform.machine() != "x86_64":
        pytest.skip("the program calls the kernel by numbers of x86_64")
    told = _told(level, user, folder)[attack.name]
    if not told["shown"] and attack.needs in KERNEL_MAY_REFUSE:
        pytest.skip(f"nothing to contain on this machine: {told['why']}")
    assert told["shown"], f"does not even work without protection: {told['why']}"
    assert not told["succeeded"]
    assert told["status"] in attack.contained, told["explanation"]
    assert float(str(told["seconds"])) < attack.limits.seconds + 1.0


def test_there_are_enough_of_them() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 40


@pytest.mark.parametrize("user", users())
@pytest.mark.parametrize("level", LEVELS)
def test_nothing_survives(level: str, user: str, folder: Path) -> None:
    _there(level)
    mark = run_as(user, SCRIPT, "leave", level, folder=folder)
    assert mark.startswith("box of ")
    assert not marked(mark)


@pytest.mark.parametrize("level", LEVELS)
def test_a_killed_harness_leaves_nothing(level: str) -> None:
    _there(level)
    code = (
        "import os\nfrom evalharness.sandbox import levels\nfrom evalharness.sandbox.choose import choose\n"
        "from evalharness.sandbox.outcome import Limits\n"
        f"sandbox = choose({level!r})\nlevels._SOURCES['boot'] = levels.inside('boot') + f'# box of {{os.getpid()}}'\n"
        "sandbox.run('import time; time.sleep(100)', limits=Limits(seconds=100))"
    )
    harness = subprocess.Popen([sys.executable, "-c", code])
    mark = f"box of {harness.pid}"
    assert _within(20, lambda: bool(marked(mark)) and harness.poll() is None)
    harness.kill()
    harness.wait()
    assert _within(10, lambda: not marked(mark))


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends:
            return False
        time.sleep(0.05)
    return True
