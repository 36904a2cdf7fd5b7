"""The filter as the kernel reads it: an interpreter of its few instructions, asked about every call."""

from __future__ import annotations

import struct

import pytest

from evalharness.sandbox import syscalls
from evalharness.sandbox.syscalls import system_call_filter

ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def answer(code: bytes, machine: int, number: int, *arguments: int) -> int:
    """What a filter makes of a call, by the rules of classic BPF (man 2 seccomp; Linux's filter.rst)."""
    data = struct.pack("=iIQ6Q", number, machine, 0, *[*arguments, 0, 0, 0, 0, 0, 0][:6])
    program = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    assert len(program) < 4096
    accumulator, at = 0, 0
    while True:
        operation, yes, no, constant = program[at]
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, constant)
        elif operation == 0x06:
            return int(constant)
        else:
            holds = {0x15: accumulator == constant, 0x35: accumulator >= constant, 0x45: bool(accumulator & constant)}
            at += yes if holds[operation] else no


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(syscalls.platform, "machine", lambda: request.param)
    return str(request.param)


NUMBERS = {  # <asm/unistd_64.h>, <asm-generic/unistd.h>
    "x86_64": {
        "read": 0, "write": 1, "openat": 257, "mmap": 9, "socket": 41, "connect": 42, "fork": 57, "execve": 59,
        "clone": 56, "clone3": 435, "kill": 62, "tgkill": 234, "ptrace": 101, "unshare": 272, "mount": 165, "bpf": 321,
        "prctl": 157, "fcntl": 72, "ioctl": 16, "chmod": 90, "unlink": 87, "prlimit64": 302,
    },
    "aarch64": {
        "read": 63, "write": 64, "openat": 56, "mmap": 222, "socket": 198, "connect": 203, "fork": None, "execve": 221,
        "clone": 220, "clone3": 435, "kill": 129, "tgkill": 131, "ptrace": 117, "unshare": 97, "mount": 40, "bpf": 280,
        "prctl": 167, "fcntl": 25, "ioctl": 29, "chmod": None, "unlink": None, "prlimit64": 261,
    },
}  # fmt: skip

THREAD = 0x3D0F00
CASES = [
    ("read", (), ALLOW),
    ("write", (), ALLOW),
    ("socket", (2, 1, 0), EPERM),
    ("connect", (), EPERM),
    ("fork", (), EPERM),
    ("execve", (), EPERM),
    ("clone", (17,), EPERM),
    ("clone", (THREAD,), ALLOW),
    ("clone", (THREAD | 0x10000000,), EPERM),
    ("clone", (THREAD & ~0x400,), EPERM),  # without CLONE_FILES
    ("mmap", (0, 4096, 3, 0x22), ALLOW),
    ("mmap", (0, 4096, 3, 0x21), EPERM),  # MAP_SHARED
    ("clone3", (), ENOSYS),
    ("kill", (7, 9), ALLOW),
    ("kill", (8, 9), EPERM),
    ("kill", (2**64 - 1, 9), EPERM),
    ("kill", (0, 9), EPERM),
    ("tgkill", (7, 8, 9), ALLOW),
    ("tgkill", (8, 8, 9), EPERM),
    ("ptrace", (), EPERM),
    ("unshare", (), EPERM),
    ("mount", (), EPERM),
    ("bpf", (), EPERM),
    ("prctl", (15,), ALLOW),
    ("prctl", (1, 0), EPERM),
    ("prctl", (22,), EPERM),
    ("fcntl", (3, 4), ALLOW),
    ("fcntl", (3, 6), EPERM),
    ("fcntl", (3, 8), EPERM),
    ("fcntl", (3, 10), EPERM),
    ("ioctl", (0, 0x5401), ALLOW),
    ("ioctl", (0, 0x5412), EPERM),
    ("chmod", (), EPERM),
    ("unlink", (), EPERM),
    ("openat", (0, 0, 0), ALLOW),
    ("openat", (0, 0, 1), ALLOW),
    ("prlimit64", (0,), ALLOW),
    ("prlimit64", (7,), ALLOW),
    ("prlimit64", (8,), EPERM),
]


@pytest.mark.parametrize(("name", "arguments", "expected"), CASES)
def test_what_is_allowed(machine: str, name: str, arguments: tuple[int, ...], expected: int) -> None:
    number = NUMBERS[machine][name]
    if number is None:
        pytest.skip(f"{machine} has no {name}")
    assert answer(system_call_filter(7), MACHINES[machine], number, *arguments) == expected


def test_options(machine: str) -> None:
    def asked(code: bytes, name: str, *arguments: int) -> int | None:
        number = NUMBERS[machine][name]
        return None if number is None else answer(code, MACHINES[machine], number, *arguments)

    read_only = system_call_filter(7, read_only=True)
    assert asked(read_only, "openat", 0, 0, 0) == ALLOW
    for flags in (0o1, 0o2, 0o100, 0o1000):
        assert asked(read_only, "openat", 0, 0, flags) == EPERM
    assert asked(system_call_filter(7, execute=True), "execve") == ALLOW
    assert asked(system_call_filter(7, disk=True), "unlink") in (ALLOW, None)
    several = system_call_filter(None, processes=True)
    assert asked(several, "clone", 17) == ALLOW
    assert asked(several, "clone", 17 | 0x10000000) == EPERM
    assert asked(several, "kill", 8) == ALLOW


def test_other_interfaces_of_the_kernel_end_the_program(machine: str) -> None:
    code = system_call_filter(7)
    assert answer(code, 0x40000003, 20) == KILL  # i386
    assert answer(code, MACHINES[machine], 0x40000000) == KILL


def test_nothing_beyond_the_list(machine: str) -> None:
    code = system_call_filter(7)
    allowed = {number for number in range(1024) if answer(code, MACHINES[machine], number) == ALLOW}
    assert 100 < len(allowed) < 160


def test_an_unknown_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls.platform, "machine", lambda: "sparc")
    with pytest.raises(OSError, match="sparc"):
        system_call_filter(7)
