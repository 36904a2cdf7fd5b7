"""What a long run tells while it goes on: on a terminal, in a log, and not at all."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.command import Process, environment

from evalharness.run.accounting import Usage
from evalharness.run.progress import Lines, Tally
from evalharness.types import Completion, Completions, GenerateRequest, Origin, Prompt, Sampling


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def used(usage: Usage, *prompts: tuple[int, ...], generated: int = 0) -> None:
    for ids in prompts:
        request = GenerateRequest(
            origin=Origin(task="t", sample_id="0", index=0),
            prompt=Prompt(messages=(), text="", ids=ids),
            sampling=Sampling(max_tokens=9),
        )
        usage.asked(request)
        usage.answered(request, Completions((Completion(text="", ids=tuple(range(generated))),)))


def test_rates_and_the_time_left() -> None:
    clock, usage = Clock(), Usage()
    tally = Tally("own", 30, 10, usage, clock)
    used(usage, (1, 2, 3, 4), (1, 2, 3, 5), generated=6)
    for _ in range(4):
        tally.add(0.5)
    clock.now += 2
    assert tally.seconds_left() is None
    tally.add(None)
    assert tally.mean == 0.5
    assert (tally.samples_a_second(), tally.tokens_a_second()) == (2.5, 10.0)
    assert tally.seconds_left() == 6.0
    assert tally.distinct_share() == 5 / 8


def test_distinct_tokens_are_counted_when_there_is_time_for_it() -> None:
    clock, usage = Clock(), Usage()
    tally = Tally("own", 9, 0, usage, clock)
    used(usage, (1, 2))
    assert tally.distinct_share() == 1.0
    tally._cost = 1.0
    used(usage, (1, 2))
    clock.now += 49
    assert tally.distinct_share() == 1.0
    clock.now += 1
    assert tally.distinct_share() == 0.5


def test_lines_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    clock, usage = Clock(), Usage()
    lines = Lines(interval=10, clock=clock)
    lines.plan(2)
    lines.start("first", 2, 0, usage)
    lines.stop()
    lines.start("own", 40, 0, usage)
    for number in range(39):
        used(usage, (number, 1))
        clock.now += 1
        lines.advance(1.0 if number % 2 else 0.0)
    told = capsys.readouterr().err.splitlines()
    assert told == [
        f"own (2 of 2): {done} of 40 samples, score so far 0.500, 1 a second, 2 tokens a second, 100% of the prompts' "
        f"tokens distinct, about {40 - done} s left"
        for done in (10, 20, 30)
    ]


def test_speed_is_told_when_there_is_enough_to_tell(capsys: pytest.CaptureFixture[str]) -> None:
    clock, usage = Clock(), Usage()
    lines = Lines(interval=10, clock=clock)
    lines.plan(1)
    lines.start("own", 9, 0, usage)
    clock.now += 30
    lines.advance(0.0)
    assert capsys.readouterr().err == "own: 1 of 9 samples, score so far 0.000\n"


# --------------------------------------------------------------------------- the command

RUN = ("run", "--task", "arc_easy", "--task", "lambada_openai", "--limit", "30", "--model", "fake:seconds=0.01")


def test_a_terminal_shows_it(here: Path, plugin: Path) -> None:
    keyboard, screen = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "evalharness", *RUN],
        cwd=here,
        env=environment((plugin,), TERM="xterm", COLUMNS="160"),
        stdin=screen,
        stdout=subprocess.DEVNULL,
        stderr=screen,
    )
    os.close(screen)
    told = b""
    while True:
        try:
            piece = os.read(keyboard, 65536)
        except OSError:  # the end of a terminal that nobody holds
            break
        if not piece:
            break
        told += piece
    os.close(keyboard)
    assert process.wait(timeout=60) == 0
    for fragment in (b"tasks", b"arc_easy", b"lambada_openai", b"/30", b"tok/s", b"distinct"):
        assert fragment in told


def test_a_log_holds_lines_and_quiet_nothing(here: Path, plugin: Path) -> None:
    loud = Process(here, *RUN, path=(plugin,)).wait().done()
    assert "\x1b" not in loud.err
    quiet = Process(here, *RUN, "--quiet", "--no-resume", path=(plugin,)).wait().done()
    assert quiet.err == ""
    assert quiet.out.startswith("arc_easy · default · fake")
