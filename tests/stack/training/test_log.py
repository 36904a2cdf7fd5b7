"""Lines of a log: whole or not there, and cut back."""

from __future__ import annotations

import resource
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evalharness.stack.errors import DiskRefusedError
from evalharness.stack.training.log import Lines


@pytest.fixture
def log(tmp_path: Path) -> Lines:
    lines = Lines(tmp_path / "log.jsonl")
    for step in (1, 2, 3):
        lines.append({"step": step, "loss": 1 / 3})
    return lines


def test_a_number_comes_back_as_it_was(log: Lines) -> None:
    assert log.read() == [{"step": step, "loss": 1 / 3} for step in (1, 2, 3)]


def test_nothing_is_read_where_nothing_is(tmp_path: Path) -> None:
    assert Lines(tmp_path / "none").read() == []
    assert Lines(tmp_path / "none").size == 0
    Lines(tmp_path / "none").keep(lambda row: False)
    assert not (tmp_path / "none").exists()


def test_it_is_cut_back(log: Lines) -> None:
    log.cut(log.size - 1 - len('{"step": 3, "loss": 0.3333333333333333}'))
    assert [row["step"] for row in log.read()] == [1, 2]
    log.cut(10_000)
    assert [row["step"] for row in log.read()] == [1, 2]


def test_half_a_line_is_none(log: Lines) -> None:
    with log.path.open("a") as file:
        file.write('{"step": 4, "lo')
    assert [row["step"] for row in log.read()] == [1, 2, 3]
    log.append({"step": 4})
    assert [row["step"] for row in log.read()] == [1, 2, 3, 4]


def test_lines_are_kept_by_what_they_say(log: Lines) -> None:
    log.keep(lambda row: row["step"] != 2)
    assert [row["step"] for row in log.read()] == [1, 3]


@contextmanager
def largest_file(size: int) -> Generator[None, None, None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 5])
def test_a_disk_that_refuses_leaves_whole_lines(log: Lines, room: int) -> None:
    before = log.read()
    with largest_file(log.size + room), pytest.raises(DiskRefusedError, match=r"log\.jsonl: .*checkpoints are whole"):
        log.append({"step": 4, "loss": 0.5})
    assert log.path.read_bytes().endswith(b"\n")
    assert log.read() == before
