"""Levels of isolation: how a box is started, and what its first process is told to give up.

A level is a recipe for `Launch`es. What each one holds and does not hold: docs/security.md.
"""

from __future__ import annotations

import math
import os
import secrets
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from evalharness.sandbox.interpreter import NOBODY, Interpreter
from evalharness.sandbox.outcome import Limits
from evalharness.sandbox.syscalls import no_filter, system_call_filter

ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/bin:/bin",
    "LC_CTYPE": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONSAFEPATH": "1",
}
"""All that a program sees of the environment. A fixed hash seed: the order of a set must not decide an outcome."""

_PID_IN_BOX = 2
"""Bubblewrap's own first process is 1."""

_THREADS = 128
_OWN = 3
"""Processes of a box that are bubblewrap's."""
_ROOM = 1024
"""Threads of all boxes together, where they share their user with others."""
_FIRST_USER, _USERS = 0x70000000, 1 << 24
"""A box that root makes has a user number that nobody else has: what the kernel counts by user, it counts for this box
alone, and no other box may signal it."""

DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")

Protection = str
"""One thing that a level does: ``namespaces``, ``landlock``, ``filter``, ``limits``, ``environment``, ``user``."""


@dataclass(slots=True, kw_only=True)
class Launch:
    """One process to start."""

    command: list[str]
    job: dict[str, Any]
    """What its first lines are told (`inside.confine`)."""
    environment: Mapping[str, str] = field(default_factory=lambda: ENVIRONMENT)
    user: int | None = None
    """User and group to become first."""
    folder: str = "/"
    descriptors: tuple[int, ...] = ()
    """Files that the process inherits; closed here once it has started."""
    filter: Callable[[int], bytes] | None = None
    """The filter of system calls that it puts on itself, given its number."""
    ending: list[str] = field(default_factory=list)
    """A command that ends what killing the process leaves behind."""


class Level(ABC):
    """A way of isolating."""

    name: ClassVar[str]
    isolated: ClassVar[bool] = True
    bounds_disk: ClassVar[bool] = False
    """Whether it can hold a program to so many bytes of files."""
    allows_processes: ClassVar[bool] = False
    """Whether it can end every process that a program starts."""

    def __init__(self, without: frozenset[Protection] = frozenset()) -> None:
        """
        Args:
            without: protections to leave out, to show what each of them is for.
        """
        self.without = without

    @abstractmethod
    def missing(self) -> str | None:
        """Why it cannot work here, as far as a look tells; None where it may."""

    @abstractmethod
    def launch(self, interpreter: Interpreter, limits: Limits) -> Launch:
        """The start of one box."""

    def python(self, interpreter: Interpreter, boot: str) -> list[str]:
        return [interpreter.executable, *interpreter.options, "-c", boot]

    def job(self, limits: Limits) -> dict[str, Any]:
        """Resource limits, and nothing else given up yet."""
        seconds = math.ceil(limits.seconds) + 1
        kinds = {
            "RLIMIT_AS": limits.memory,
            "RLIMIT_CPU": seconds,
            "RLIMIT_FSIZE": limits.disk,
            "RLIMIT_NOFILE": 64,
            "RLIMIT_CORE": 1,  # none, and no helper that the machine may have for dumps (man 5 core); 0 starts that
            "RLIMIT_MEMLOCK": 0,
            "RLIMIT_SIGPENDING": 256,
        }
        if (tasks := self.tasks(limits)) is not None:
            kinds["RLIMIT_NPROC"] = tasks
        return {"limits": {} if "limits" in self.without else kinds, "landlock": None, "filter": None, "parent": 0}

    def tasks(self, limits: Limits) -> int | None:
        """Processes and threads that its user may have: of the box where that has a count of its own (Linux 5.14)."""
        return limits.processes + _OWN if limits.processes else _THREADS

    def environment(self) -> Mapping[str, str]:
        return {**os.environ, **ENVIRONMENT} if "environment" in self.without else ENVIRONMENT

    def user(self) -> int | None:
        if os.geteuid() != 0 or "user" in self.without:
            return None
        return _FIRST_USER + secrets.randbelow(_USERS)


class Bubblewrap(Level):
    """Namespaces of its own: files, processes, network, users, host name, IPC (github.com/containers/bubblewrap)."""

    name = "bwrap"
    bounds_disk = True
    allows_processes = True

    def missing(self) -> str | None:
        return no_filter() if shutil.which("bwrap") else "the program bwrap is not installed (Debian: bubblewrap)"

    def launch(self, interpreter: Interpreter, limits: Limits) -> Launch:
        program = shutil.which("bwrap") or "bwrap"
        command = [program, "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        if "namespaces" not in self.without:
            command += ["--unshare-all", "--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "box"]
        else:
            command += ["--unshare-user"]
        command += self._files(interpreter, limits)
        descriptors: tuple[int, ...] = ()
        if "filter" not in self.without:
            several = limits.processes > 0
            pid = None if several or "namespaces" in self.without else _PID_IN_BOX
            data = system_call_filter(pid, disk=limits.disk > 0, processes=several, execute=True)
            descriptors = (_held(data),)
            command += ["--seccomp", str(descriptors[0])]
        return Launch(
            command=[*command, *self.python(interpreter, boot_source())],
            job=self.job(limits),
            environment=self.environment(),
            user=self.user(),
            descriptors=descriptors,
        )

    def _files(self, interpreter: Interpreter, limits: Limits) -> list[str]:
        """Libraries and the interpreter, to be read; a folder /tmp of so many bytes, or one that nothing fits in."""
        if "namespaces" in self.without:
            return ["--bind", "/", "/", "--chdir", "/tmp"]
        mounts: list[str] = []
        for place in interpreter.readable:
            path = Path(place)
            if path.is_symlink():
                mounts += ["--symlink", os.readlink(place), place]
            elif path.exists():
                mounts += ["--ro-bind", place, place]
        for place in interpreter.hidden:
            mounts += ["--tmpfs", place, "--remount-ro", place]
        for device in DEVICES:
            mounts += ["--dev-bind", device, device]
        mounts += ["--size", str(limits.disk), "--tmpfs", "/tmp"] if limits.disk else ["--dir", "/tmp"]
        return [*mounts, "--remount-ro", "/", "--chdir", "/tmp"]


class Landlock(Level):
    """Landlock for files, a filter of system calls for all else; nothing to install, no rights needed.

    A program can write no file at all here and start no process, since neither could be held to a bound.
    """

    name = "landlock"

    def tasks(self, limits: Limits) -> int | None:
        """Where the box has no user of its own, the kernel counts all that belong to the one that there is."""
        return _THREADS if os.geteuid() == 0 else _tasks_of(os.geteuid()) + _ROOM

    def missing(self) -> str | None:
        return (
            no_filter()
            if _landlock_version() > 0
            else "this kernel has no Landlock (Linux 5.13 and newer, where it is on)"
        )

    def launch(self, interpreter: Interpreter, limits: Limits) -> Launch:
        job = self.job(limits)
        old = _landlock_version() < 3  # it does not see a file that is emptied yet
        if "landlock" not in self.without:
            job["landlock"] = _readable(interpreter)
        if "parent" not in self.without:
            job["parent"] = os.getpid()
        return Launch(
            command=self.python(interpreter, boot_source()),
            job=job,
            environment=self.environment(),
            user=self.user(),
            filter=None if "filter" in self.without else lambda pid: system_call_filter(pid, read_only=old),
        )


class Container(Level):
    """A container of docker or podman, without network, rights or writable files."""

    name = "container"
    bounds_disk = True
    allows_processes = True

    def __init__(self, image: str | None = None, without: frozenset[Protection] = frozenset()) -> None:
        super().__init__(without)
        self.image = image
        self._engine = next((found for name in ("podman", "docker") if (found := shutil.which(name))), None)

    def missing(self) -> str | None:
        if self._engine is None:
            return "neither podman nor docker is installed"
        return no_filter() if self.image else "no image is named; --sandbox-image python:3.12-slim, say"

    def launch(self, interpreter: Interpreter, limits: Limits) -> Launch:
        assert self._engine is not None
        assert self.image is not None
        command = [self._engine, "run", "--rm", "--interactive", "--network", "none", "--read-only"]
        command += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", f"{NOBODY}:{NOBODY}"]
        command += ["--pids-limit", str(limits.processes + 64), "--memory", str(2 * limits.memory)]
        if self._engine.endswith("podman"):
            command.append("--read-only-tmpfs=false")  # it would put writable folders of any size into the container
        if limits.disk:
            command += ["--tmpfs", f"/tmp:rw,size={limits.disk},mode=1777"]
        for name, value in ENVIRONMENT.items():
            command += ["--env", f"{name}={value}"]
        name = f"evalharness-{os.getpid()}-{secrets.token_hex(6)}"
        command += ["--name", name, "--workdir", "/tmp", "--entrypoint", "python3"]
        return Launch(
            command=[*command, self.image, "-s", "-S", "-c", boot_source()],
            job=self.job(limits),
            environment=os.environ,
            filter=lambda _: system_call_filter(1, disk=limits.disk > 0, processes=limits.processes > 0),
            ending=[self._engine, "kill", name],
        )


class Unsafe(Level):
    """A plain process with resource limits: it may read, write and send whatever the user may."""

    name = "unsafe"
    isolated = False

    def tasks(self, limits: Limits) -> int | None:
        return None

    def missing(self) -> str | None:
        return None

    def launch(self, interpreter: Interpreter, limits: Limits) -> Launch:
        job = self.job(limits)
        job["limits"].pop("RLIMIT_FSIZE", None)
        job["parent"] = os.getpid()
        return Launch(command=self.python(interpreter, boot_source()), job=job, environment=self.environment())


def boot_source() -> str:
    """The text that the interpreter of a box is started with."""
    return inside("boot")


_SOURCES: dict[str, str] = {}


def inside(name: str) -> str:
    """Text of a module of `inside/`."""
    if name not in _SOURCES:
        _SOURCES[name] = (Path(__file__).parent / "inside" / f"{name}.py").read_text()
    return _SOURCES[name]


@cache
def _landlock_version() -> int:
    """Version of the kernel's Landlock; 0 or less where it has none."""
    import ctypes

    return int(
        ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(444), None, ctypes.c_size_t(0), ctypes.c_uint(1))
    )


@cache
def _tasks_of(user: int) -> int:
    """Threads of all processes of a user, when this was first asked."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError, ValueError, IndexError):
            facts = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
            if int(facts["Uid"].split()[0]) == user:
                count += int(facts["Threads"])
    return count


def _held(data: bytes) -> int:
    """A file in memory with these bytes, to be inherited."""
    descriptor = os.memfd_create("filter")
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _readable(interpreter: Interpreter) -> list[tuple[str, str]]:
    """What Landlock lets a program do where: as bubblewrap shows the files, which is all but the packages."""
    granted = dict.fromkeys(DEVICES, "read") | {"/dev/null": "write"}
    for place in interpreter.readable:
        if not os.path.islink(place):  # what a link leads to is given by its own name, as far as it is given
            granted.update(_without_hidden(place, interpreter.hidden))
    return list(granted.items())


def _without_hidden(place: str, hidden: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The place itself; where hidden folders lie in it, its list of names and what lies beside them."""
    if place in hidden or not os.path.exists(place):
        return
    if not any(each.startswith(f"{place}/") for each in hidden):
        yield place, "read"
        return
    yield place, "list"
    for entry in os.scandir(place):
        yield from _without_hidden(entry.path, hidden)
