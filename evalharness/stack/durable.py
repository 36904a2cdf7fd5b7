"""Files that are on the disk as a whole or not at all, known by their hash, or held by one process; and why a
disk refused them."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial"
LOCK = ".lock"
"""In a folder that one process writes at a time; see `locked`."""
BLOCK = 1 << 24
"""Bytes hashed at a time: few enough for memory, and so many that other threads are hardly asked for Python's lock."""
FULL = frozenset((errno.ENOSPC, errno.EDQUOT))

_SYSTEM_ERROR = re.compile(r"os error (\d+)|code: (\d+)")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place, on the disk, and rename it: it is there as a whole or not at all.

    Raises:
        OSError: the disk refuses; what was there before stays.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Wait until a file's bytes, or the names in a folder, are on the disk.

    Raises:
        OSError: the disk refuses.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a file, which is made if it is not there, until the block or the process ends; whether no other does."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def refusal(error: BaseException) -> tuple[str, bool] | None:
    """Why the system refused a file, and whether because the disk is full; None for an error of another kind.

    safetensors hands the system's errors on as text, in one of two forms by its version.
    """
    from safetensors import SafetensorError

    if isinstance(error, SafetensorError) and (found := _SYSTEM_ERROR.search(str(error))):
        number = int(found[1] or found[2])
        return os.strerror(number), number in FULL
    if isinstance(error, OSError):
        full = error.errno in FULL
        place = f": {error.filename}" if error.filename and not full else ""
        return f"{error.strerror or error}{place}", full
    return None
