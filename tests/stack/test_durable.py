"""Files are whole or not there, known by their hash, and a disk's refusal is read from whatever raises it."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
from safetensors import SafetensorError

from evalharness.stack import durable
from evalharness.stack.durable import refusal, sha256_of, write_whole


def test_a_file_is_replaced_as_a_whole_or_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "file", b"before")
    write_whole(tmp_path / "file", b"after")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "file", b"never")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"after")]


@pytest.mark.parametrize("size", [0, 63, 64, 65, 200])
def test_a_hash_is_of_all_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(durable, "BLOCK", 64)
    data = bytes(range(size))
    (tmp_path / "file").write_bytes(data)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def test_a_refusal_is_read_from_the_system_and_from_safetensors() -> None:
    old = 'Error while serializing: IoError(Os { code: 28, kind: StorageFull, message: "No space left on device" })'
    new = "Error while serializing: I/O error: No space left on device (os error 28)"
    full = "No space left on device", True
    assert refusal(SafetensorError(old)) == refusal(SafetensorError(new)) == full
    assert refusal(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "some/file")) == full
    assert refusal(PermissionError(errno.EACCES, "Permission denied", "a")) == ("Permission denied: a", False)
    assert refusal(SafetensorError("Error while serializing: TensorInvalidInfo")) is None
    assert refusal(KeyError("x")) is None
