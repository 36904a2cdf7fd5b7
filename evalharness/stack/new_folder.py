"""A folder that appears under its name only when it is complete."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evalharness.stack.errors import CheckpointError


def check_new(target: Path) -> None:
    """Refuse a folder that something is in.

    Raises:
        CheckpointError: `target` exists and is not an empty folder.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CheckpointError(f"{target} exists already; give the name of a new folder.")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` to write to, which is renamed to it at the end.

    Raises:
        CheckpointError: `target` exists and is not an empty folder.
    """
    check_new(target)
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    if target.exists():
        target.rmdir()
    partial.rename(target)
