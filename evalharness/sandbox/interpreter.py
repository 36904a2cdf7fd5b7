"""The Python that runs inside a box: where it lies, and which folders it must be able to read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from evalharness.errors import ServiceError, UsageError

NOBODY = 65534
"""User and group that a program finds itself to be, inside a namespace or a container."""

_ASK = """
import importlib, json, os, sys, sysconfig
for name in ("ctypes", "ssl", "sqlite3", "lzma", "bz2", "zlib", "decimal", "readline", "curses", "uuid", "hashlib"):
    try:
        importlib.import_module(name)
    except ImportError:
        pass
paths = sysconfig.get_paths()
real = lambda path: os.path.realpath(path)
with open("/proc/self/maps") as maps:
    mapped = {line.split(None, 5)[5].strip() for line in maps if ".so" in line}
print(json.dumps({
    "version": ".".join(map(str, sys.version_info[:3])), "executable": real(sys.executable),
    "prefixes": sorted({real(sys.base_prefix), real(sys.prefix), real(sys.base_exec_prefix)}),
    "library": [real(paths["stdlib"]), real(paths["platstdlib"])],
    "shared": sorted({os.path.dirname(real(path)) for path in mapped}),
    "packages": [real(path) for path in sys.path if path.endswith(("site-packages", "dist-packages"))],
}))
"""
"""What an interpreter is asked about itself: also the folders of the shared libraries that its modules need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python as a box starts it."""

    executable: str
    version: str
    readable: tuple[str, ...]
    """Files and folders that it needs: its own, its shared libraries, the loader, time zones."""
    hidden: tuple[str, ...]
    """Folders of installed packages in them: a data set that lies there is none of the program's business."""
    options: tuple[str, ...]


LOADER = ("/lib", "/lib64", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo")
"""What any program needs to start. /lib and /lib64 are links on most machines, to folders that are not given whole."""


def find_interpreter(chosen: str | None = None) -> Interpreter:
    """The interpreter of the boxes: the one named, with its packages; else the first without any that a box can read.

    Raises:
        UsageError: the one named cannot be run.
        ServiceError: there is none.
    """
    if chosen is not None:
        found = _interpreter(chosen, with_packages=True)
        if found is None:
            raise UsageError(f"--sandbox-python {chosen}: this is no Python 3.8 or newer that the box's user can run.")
        return found
    for candidate in _candidates():
        if (found := _interpreter(candidate, with_packages=False)) is not None:
            return found
    raise ServiceError(
        "no Python that a sandbox could run: the one that runs evalharness lies where another user cannot read; "
        "install Debian's python3, or name one with --sandbox-python."
    )


def _candidates() -> Iterator[str]:
    yield os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    for folder in ("/usr/bin", "/usr/local/bin"):
        yield f"{folder}/python3"


@cache
def _interpreter(path: str, *, with_packages: bool) -> Interpreter | None:
    """What the interpreter says of itself; None where it cannot be used."""
    try:
        said = subprocess.run(
            [path, "-c", _ASK] if with_packages else [path, "-I", "-c", _ASK],
            capture_output=True,
            check=True,
            timeout=30,
        )
        told = json.loads(said.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    executable = path if with_packages else told["executable"]
    own = [executable, *(told["prefixes"] if with_packages else told["library"])]
    if tuple(map(int, told["version"].split("."))) < (3, 8) or not all(_readable(Path(place)) for place in own):
        return None
    needed = dict.fromkeys([*LOADER, *told["shared"], *own])
    return Interpreter(
        executable=executable,
        version=told["version"],
        readable=tuple(place for place in needed if not any(_inside(place, other) for other in needed)),
        hidden=() if with_packages else tuple(_packages(told, [*needed])),
        options=("-s",) if with_packages else ("-s", "-S"),
    )


def _packages(told: dict[str, list[str]], readable: list[str]) -> Iterator[str]:
    """Folders of installed packages that lie in what is readable."""
    found = [f"{folder}/{name}" for folder in told["library"] for name in ("site-packages", "dist-packages")]
    for place in dict.fromkeys([*found, *told["packages"]]):
        if os.path.isdir(place) and any(_inside(place, folder) for folder in readable):
            yield place


def _inside(place: str, other: str) -> bool:
    """Whether a place is given already with another; one that is a link gives nothing but itself."""
    return place.startswith(f"{other}/") and not os.path.islink(other)


def _readable(path: Path) -> bool:
    """Whether the box's user can reach a file or folder."""
    if os.geteuid() != 0:
        return os.access(path, os.R_OK)
    return all(place.stat().st_mode & 0o001 for place in [*path.parents] if place.is_dir()) and bool(
        path.stat().st_mode & 0o004
    )
