"""The journal survives every way of dying, and says where it is damaged."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evalharness.errors import DataError, DiskError, UsageError
from evalharness.records.journal import Journal, read_lines, read_samples


def finished(path: Path) -> dict[str, bool]:
    """Every sample that counts, and whether it failed."""
    return {line["id"]: bool(line.get("error")) for line in read_samples(path)}


def line(id: str, **more: Any) -> dict[str, Any]:
    return {"task": "t", "id": id, **more}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "samples.jsonl"


def write(path: Path, *lines: dict[str, Any]) -> None:
    with Journal(path) as journal:
        for each in lines:
            journal.append(each)


def test_lines_are_in_the_file_before_it_is_closed(path: Path) -> None:
    journal = Journal(path)
    journal.append(line("a"))
    assert path.read_bytes() == b'{"task":"t","id":"a"}\n'
    assert list(read_lines(path)) == [line("a")]
    journal.close()
    journal.close()


def test_lines_survive_a_kill(path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from evalharness.records.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for id in 'abc': journal.append({'id': id})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert finished(path) == {"a": False, "b": False, "c": False}


def test_an_opened_journal_knows_what_is_done(path: Path) -> None:
    write(path, line("a"), line("b", error="it broke."), line("c", error="it broke."), line("c"))
    with Journal(path) as journal:
        assert journal.done == {"a": False, "b": True, "c": False}
        assert not journal.torn
    assert finished(path) == {"a": False, "b": True, "c": False}


def test_the_last_line_of_a_sample_counts(path: Path) -> None:
    write(path, line("a", error="it broke."), line("b"), line("a", answer="1"))
    assert [each["id"] for each in read_lines(path)] == ["a", "b", "a"]
    assert list(read_samples(path)) == [line("b"), line("a", answer="1")]


GOOD = b'{"task":"t","id":"a"}\n{"task":"t","id":"b"}\n'


def test_a_tear_at_any_byte_loses_the_last_line_and_no_other(path: Path) -> None:
    last = '{"task":"t","id":"é"}\n'.encode()
    for cut in range(len(last)):
        path.write_bytes(GOOD + last[:cut])
        assert [each["id"] for each in read_lines(path)] == ["a", "b"]
        with Journal(path) as journal:
            assert journal.torn == (cut > 0)
            assert path.read_bytes() == GOOD
            journal.append(line("é"))
        assert path.read_bytes() == GOOD + last


@pytest.mark.parametrize("tail", [b"\x00\x00\x00\n", b'{"task": \n', b"12\n"])
def test_a_last_line_that_is_no_object_is_torn_too(path: Path, tail: bytes) -> None:
    path.write_bytes(GOOD + tail)
    with Journal(path) as journal:
        assert journal.torn
    assert path.read_bytes() == GOOD


@pytest.mark.parametrize("bad", [b"\x00\x00\n", b'{"task": \n', b"\n"])
def test_damage_before_the_last_line_is_named_and_kept(path: Path, bad: bytes) -> None:
    damaged = GOOD + bad + GOOD
    path.write_bytes(damaged)
    for read in (Journal, finished, lambda path: list(read_samples(path))):
        with pytest.raises(DataError, match="line 3 is damaged"):
            read(path)
    assert path.read_bytes() == damaged


def test_a_line_without_an_id(path: Path) -> None:
    path.write_bytes(b'{"task": "t"}\n')
    with pytest.raises(DataError, match="no key 'id'"):
        finished(path)


def test_no_journal(path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        list(read_lines(path))


def test_a_journal_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="cannot be opened"):
        Journal(tmp_path / "missing" / "samples.jsonl")


class Full(io.FileIO):
    """A disk with room for `room` more bytes, which it takes before it refuses."""

    room = 10

    def write(self, data: Any) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = super().write(bytes(data)[: self.room])
        self.room -= taken
        return taken


def test_a_full_disk_is_one_sentence_and_leaves_whole_lines(path: Path) -> None:
    write(path, line("a"))
    before = path.read_bytes()
    journal = Journal(path)
    journal._file.close()
    journal._file = Full(path, "ab")
    with pytest.raises(DiskError, match="No space left on device"):
        journal.append(line("b"))
    assert path.read_bytes() == before
    journal._file.room = 1000
    journal.append(line("c"))
    journal.close()
    assert [each["id"] for each in read_lines(path)] == ["a", "c"]


def test_two_writers_never_share_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    with Journal(path) as journal:
        journal.append(line("a"))
        with pytest.raises(UsageError, match="another process is writing this run"):
            Journal(path)
        journal.append(line("b"))
    with Journal(path) as journal:
        assert sorted(journal.done) == ["a", "b"]
