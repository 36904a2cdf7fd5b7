"""The filter of system calls that every box runs under: what is not on the list is refused (EPERM).

A filter is classic BPF over `struct seccomp_data` (man 2 seccomp): 8 bytes an instruction. The list is what programs
of the standard library use that compute, read their library, and talk over pipes that they hold. Refused are, among
others: sockets, further processes, tracing and reading other processes, signals to others, namespaces, mounts,
io_uring, bpf, keys, shared memory that outlives a process, and changing owners, modes and times of files.
"""

from __future__ import annotations

import platform
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_ALLOW, _EPERM, _ENOSYS, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38, 0x80000000
_LOAD, _EQUAL, _GREATER_EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_X32 = 0x40000000
"""Numbers from here on are the x32 interface of x86_64, which would go around the list."""

# Name: number on x86_64, number on aarch64 (None where it has none): <asm/unistd_64.h>, <asm-generic/unistd.h>.
# fmt: off
_ALWAYS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "pwrite64": (18, 68), "preadv": (295, 69), "pwritev": (296, 70), "close": (3, 57), "close_range": (436, 436),
    "lseek": (8, 62), "stat": (4, None), "fstat": (5, 80), "lstat": (6, None), "newfstatat": (262, 79),
    "statx": (332, 291), "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439),
    "readlink": (89, None), "readlinkat": (267, 78), "getdents": (78, None), "getdents64": (217, 61),
    "getcwd": (79, 17), "chdir": (80, 49), "fchdir": (81, 50), "statfs": (137, 43), "fstatfs": (138, 44),
    "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24), "pipe": (22, None), "pipe2": (293, 59), "poll": (7, None),
    "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72), "epoll_create": (213, None),
    "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None), "epoll_pwait": (281, 22),
    "epoll_pwait2": (441, 441), "eventfd": (284, None), "eventfd2": (290, 19), "signalfd4": (289, 74),
    "timerfd_create": (283, 85), "timerfd_settime": (286, 86), "timerfd_gettime": (287, 87),
    "sendto": (44, 206), "recvfrom": (45, 207), "sendmsg": (46, 211), "recvmsg": (47, 212), "shutdown": (48, 210),
    "getsockopt": (55, 209), "setsockopt": (54, 208), "getsockname": (51, 204), "getpeername": (52, 205),
    "fsync": (74, 82), "fdatasync": (75, 83), "fadvise64": (221, 223), "munmap": (11, 215),
    "mremap": (25, 216), "mprotect": (10, 226), "madvise": (28, 233), "brk": (12, 214), "mincore": (27, 232),
    "msync": (26, 227), "futex": (202, 98), "futex_waitv": (449, 449), "set_robust_list": (273, 99),
    "get_robust_list": (274, 100), "rseq": (334, 293), "set_tid_address": (218, 96), "membarrier": (324, 283),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126),
    "getcpu": (309, 168), "getpriority": (140, 141), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "rt_sigpending": (127, 136), "rt_sigtimedwait": (128, 137),
    "rt_sigsuspend": (130, 133), "sigaltstack": (131, 132), "pause": (34, None), "alarm": (37, None),
    "setitimer": (38, 103), "getitimer": (36, 102), "restart_syscall": (219, 128), "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114), "gettimeofday": (96, 169),
    "time": (201, None), "times": (100, 153), "getpid": (39, 172), "gettid": (186, 178), "getppid": (110, 173),
    "getpgid": (121, 155), "getpgrp": (111, None), "getsid": (124, 156), "getuid": (102, 174), "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177), "getresuid": (118, 148), "getresgid": (120, 150),
    "getgroups": (115, 158), "capget": (125, 90), "uname": (63, 160), "sysinfo": (99, 179), "getrusage": (98, 165),
    "getrlimit": (97, 163), "umask": (95, 166), "getrandom": (318, 278), "arch_prctl": (158, None), "exit": (60, 93),
    "exit_group": (231, 94), "wait4": (61, 260), "waitid": (247, 95), "sendfile": (40, 71),
}
"""Computing, reading, pipes, threads, time."""
_FILES: dict[str, tuple[int | None, int | None]] = {
    "mkdir": (83, None), "mkdirat": (258, 34), "unlink": (87, None), "unlinkat": (263, 35), "rmdir": (84, None),
    "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276), "link": (86, None), "linkat": (265, 37),
    "symlink": (88, None), "symlinkat": (266, 36), "truncate": (76, 45), "ftruncate": (77, 46),
   
    "fallocate": (285, 47), "flock": (73, 32), "creat": (85, None),
    "copy_file_range": (326, 285),
}
"""Changing files."""
_PROCESSES: dict[str, tuple[int | None, int | None]] = {
    "fork": (57, None), "vfork": (58, None), "setpgid": (109, 154), "setsid": (112, 157),
}
"""Further processes."""
_EXECUTE: dict[str, tuple[int | None, int | None]] = {
    "execve": (59, 221), "execveat": (322, 281),
}
"""Becoming another program."""
_RULED: dict[str, tuple[int | None, int | None]] = {
    "socketpair": (53, 199),
    "mmap": (9, 222),
    "clone": (56, 220), "kill": (62, 129), "tgkill": (234, 131), "prctl": (157, 167), "prlimit64": (302, 261),
    "ioctl": (16, 29), "fcntl": (72, 25), "open": (2, None), "openat": (257, 56),
}
"""Allowed by their arguments, where a rule says so, else always."""
_CLONE3 = 435, 435
"""Its flags lie in memory, where a filter cannot look."""
# fmt: on


@dataclass(frozen=True, slots=True)
class _OneOf:
    """Allowed where the low half of an argument is one of these."""

    argument: int
    values: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Bits:
    """Allowed where an argument has one of the `needed` bits, if there are any, and none of the `forbidden`."""

    argument: int
    needed: int = 0
    forbidden: int = 0


_Rule = _OneOf | _Bits

_THREAD = 0x3D0F00, 0x7D0F00
"""Of clone: exactly the flags of a thread, as glibc and musl make it. One with files of its own would escape the limit
on open files."""
_CHILD = 17, 0x01200011, 0x4111
"""And of a process: SIGCHLD alone, as fork has it, as posix_spawn has it."""
_NAMING = 15, 16, 0x53564D41
"""Of prctl: set and get a thread's name, name a mapping."""
_FILE_FLAGS = 0, 1, 2, 3, 4, 1030, 1032
"""Of fcntl: duplicate, flags, a pipe's size; not F_SETOWN and F_SETSIG, which send signals to others, and no locks,
which others could feel."""
_ASKING = 0x5401, 0x541B, 0x5421, 0x5450, 0x5451, 0x5413
"""Of ioctl: TCGETS, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, TIOCGWINSZ."""
_WRITING = 0o1 | 0o2 | 0o100 | 0o1000
"""Of open: O_WRONLY, O_RDWR, O_CREAT, O_TRUNC."""


def no_filter() -> str | None:
    """Why there is no filter for this machine; None where there is one."""
    machine = platform.machine()
    return None if machine in _AUDIT else f"there is no filter of system calls for {machine} (x86_64, aarch64)"


def system_call_filter(
    pid: int | None, *, processes: bool = False, disk: bool = False, read_only: bool = False, execute: bool = False
) -> bytes:
    """The filter for this machine.

    Args:
        pid: the process itself, the only one that it may signal; None where all that it sees are its own.
        processes: further processes are allowed.
        disk: it may change files, where something else holds it to its folder.
        read_only: nothing may be opened for writing.
        execute: it may become another program; a process that bubblewrap starts becomes Python under the filter.

    Raises:
        OSError: there is none (`no_filter`).
    """
    if (why := no_filter()) is not None:
        raise OSError(why)
    machine = platform.machine()
    column = 0 if machine == "x86_64" else 1
    groups: list[Mapping[str, tuple[int | None, int | None]]] = [_ALWAYS]
    groups += [_FILES] if disk else []
    groups += [_PROCESSES] if processes else []
    groups += [_EXECUTE] if execute or processes else []
    allowed = sorted({number for group in groups for pair in group.values() if (number := pair[column]) is not None})
    rules: dict[str, _Rule] = {
        "clone": _OneOf(0, _THREAD + _CHILD if processes else _THREAD),
        "mmap": _Bits(3, forbidden=1),  # MAP_SHARED: what is given back of it stays, and no limit counts it
        "socketpair": _Bits(1, needed=1, forbidden=6),  # streams; a datagram socket can send to any other by its path
        "prctl": _OneOf(0, _NAMING),
        "fcntl": _OneOf(1, _FILE_FLAGS),
        "ioctl": _OneOf(1, _ASKING),
        "prlimit64": _OneOf(0, (0,) if pid is None else (0, pid)),
    }
    if pid is not None:
        rules |= {"kill": _OneOf(0, (pid,)), "tgkill": _OneOf(0, (pid,))}
    if read_only:
        rules |= {"open": _Bits(1, forbidden=_WRITING), "openat": _Bits(2, forbidden=_WRITING)}
    ruled = {number: rule for name, rule in rules.items() if (number := _RULED[name][column]) is not None}
    unruled = {number for pair in _RULED.values() if (number := pair[column]) is not None} - ruled.keys()
    return _assembled(_AUDIT[machine], sorted({*allowed, *unruled}), ruled, unknown=_CLONE3[column])


def _assembled(machine: int, allowed: Sequence[int], rules: Mapping[int, _Rule], unknown: int | None) -> bytes:
    """The program. `unknown` is said not to exist, so that the C library uses an older call."""
    code = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _KILL)]
    code += [(_LOAD, 0, 0, 0), (_GREATER_EQUAL, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    for number in allowed:
        code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    for number, rule in rules.items():
        block = list(_block(rule))
        code += [(_EQUAL, 0, len(block), number), *block]
    if unknown is not None:
        code += [(_EQUAL, 0, 1, unknown), (_RETURN, 0, 0, _ENOSYS)]
    code.append((_RETURN, 0, 0, _EPERM))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _block(rule: _Rule) -> Iterator[tuple[int, int, int, int]]:
    yield (_LOAD, 0, 0, 16 + 8 * rule.argument)
    if isinstance(rule, _OneOf):
        for value in rule.values:
            yield from ((_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW))
        yield (_RETURN, 0, 0, _EPERM)
        return
    yield from ((_ANY_BIT, 0, 1, rule.forbidden), (_RETURN, 0, 0, _EPERM))
    if rule.needed:
        yield from ((_ANY_BIT, 1, 0, rule.needed), (_RETURN, 0, 0, _EPERM))
    yield (_RETURN, 0, 0, _ALLOW)
