"""Giving up rights, before a line of the program is read: resource limits, Landlock, the filter of system calls.

Landlock: https://docs.kernel.org/userspace-api/landlock.html; seccomp: man 2 seccomp. Where bubblewrap made the box, it
has done all but the limits.
"""

from __future__ import annotations

import os
import resource
import sys

TYPE_CHECKING = False  # inside/__init__.py says why
if TYPE_CHECKING:
    from typing import Any

READY = b"\0ready\0"
"""What a box says on standard error once it holds nothing but its program."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_WRITE_FILE, _READ_FILE, _READ_FOLDER = 1 << 1, 1 << 2, 1 << 3
_RIGHTS = {"list": _READ_FOLDER, "read": _READ_FILE | _READ_FOLDER, "write": _READ_FILE | _WRITE_FILE}
_FILES = (0, 0x1FFF, 0x3FFF, 0x7FFF, 0x7FFF, 0xFFFF)
"""By version of Landlock: every right over files that it knows, so that what no rule grants is refused."""
_TCP, _SCOPES = 0b11, 0b11
"""From version 4: binding and connecting; from version 6: abstract sockets of others, signals to others."""


def confine(job: dict[str, Any]) -> None:
    """Apply what the job says, for good, and report that the box is ready.

    Raises:
        OSError: the kernel refuses a part; then the program is not run.
    """
    limits = job["limits"]
    if job["landlock"] is not None or job["filter"] is not None or job["parent"]:
        _without_rights(job)
    for kind, value in limits.items():
        last = value + 1 if kind == "RLIMIT_CPU" else value  # a signal that says why, then the end
        resource.setrlimit(getattr(resource, kind), (value, last))
    sys.stdout.flush()
    os.write(2, READY)


def _without_rights(job: dict[str, Any]) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def prctl(option: int, *arguments: Any) -> None:
        given = [ctypes.c_ulong(argument) if isinstance(argument, int) else argument for argument in arguments]
        given += [ctypes.c_ulong(0)] * (4 - len(given))
        _checked(libc.prctl(ctypes.c_int(option), *given), ctypes.get_errno(), f"prctl {option}")

    if job["parent"]:
        prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
        if os.getppid() != job["parent"]:
            os._exit(1)
        prctl(4, 0)  # PR_SET_DUMPABLE: other processes of this user may not look inside
    prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    if job["landlock"] is not None:
        _landlock(libc, job["landlock"])
    if job["filter"] is not None:
        code = ctypes.create_string_buffer(job["filter"], len(job["filter"]))

        class Program(ctypes.Structure):
            _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

        program = Program(len(job["filter"]) // 8, ctypes.addressof(code))
        prctl(22, 2, ctypes.byref(program))  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def _landlock(libc: Any, granted: list[tuple[str, str]]) -> None:
    import ctypes
    import struct

    def call(number: int, *arguments: Any) -> int:
        given = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
        result = libc.syscall(ctypes.c_long(number), *given)
        _checked(result, ctypes.get_errno(), "landlock")
        return int(result)

    version = call(_CREATE_RULESET, None, 0, 1)
    handled = _FILES[min(version, len(_FILES) - 1)]
    rules = struct.pack("=QQQ", handled, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = call(_CREATE_RULESET, ctypes.create_string_buffer(rules, 24), size, 0)
    for path, what in granted:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rights = _RIGHTS[what] & (~0 if os.path.isdir(path) else ~_READ_FOLDER)
        call(_ADD_RULE, ruleset, 1, ctypes.create_string_buffer(struct.pack("=Qi", rights, place), 12), 0)
        os.close(place)
    call(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _checked(result: int, error: int, what: str) -> None:
    if result < 0:
        raise OSError(error, f"{what}: {os.strerror(error)}")
