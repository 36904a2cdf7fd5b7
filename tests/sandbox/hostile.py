"""Hostile programs. Each prints SUCCEEDED where it gets what it is after, which it must not inside a box.

Run as a script it attacks one level as the user that it runs as, and prints what came of every program as JSON: first
with the protections left out that stand against it, then with all of them.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from evalharness.sandbox import levels
from evalharness.sandbox.box import Box
from evalharness.sandbox.interpreter import find_interpreter
from evalharness.sandbox.levels import Bubblewrap, Landlock, Level
from evalharness.sandbox.outcome import Limits
from evalharness.sandbox.sandbox import Sandbox

SHORT = Limits(seconds=0.6, memory=256 << 20, output=100_000)
PATIENT = Limits(seconds=20.0, memory=4 << 30, output=100_000_000)


@dataclass(frozen=True, kw_only=True)
class Attack:
    """A hostile program, and what stands against it."""

    name: str
    source: str
    without: frozenset[str]
    """Protections that are left out to show that it works; of those a level has, besides."""
    limits: Limits = SHORT
    loose: Limits = PATIENT
    """Limits while it is shown to work."""
    contained: frozenset[str] = field(default=frozenset({"error", "fail", "pass"}))
    """Statuses that it may end with in the box."""
    levels: tuple[str, ...] = ("bwrap", "landlock")
    needs: str | None = None
    """What the machine must have for it to work at all."""


FILES, FILTER, LIMITS = ({"namespaces", "landlock"}, {"filter"}, {"limits"})
OWNER = FILES | FILTER | {"user"}
"""Against what only the user who owns a file or a process may do to it."""

_CALL = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(*a):
    r = libc.syscall(*[ctypes.c_long(x) if isinstance(x, int) else x for x in a])
    return r, ctypes.get_errno()
"""


def attack(name: str, source: str, without: set[str], **more: object) -> Attack:
    return Attack(name=name, source=source, without=frozenset(without), **more)  # type: ignore[arg-type]


TIME = frozenset({"timeout"})
NO_LIMIT: set[str] = set()
"""Where the limit itself is the protection: it works with a loose one."""

ATTACKS = (
    # ------------------------------------------------------------- reading
    attack(
        "read the users of the machine", "print('SUCCEEDED' if 'root' in open('/etc/passwd').read() else '')", FILES
    ),
    attack("read a file of the harness", "print('SUCCEEDED' if open('@FOLDER@/tests.py').read() else '')", FILES),
    attack("list the harness's folder", "import os; print('SUCCEEDED' if os.listdir('@FOLDER@') else '')", FILES),
    attack(
        "read the command of another process",
        "print('SUCCEEDED' if open('/proc/@VICTIM@/cmdline').read() else '')",
        FILES,
    ),
    attack("read its own environment in /proc", "print('SUCCEEDED' if open('/proc/self/stat').read() else '')", FILES),
    attack(
        "reach the root of files through /proc",
        "print('SUCCEEDED' if open('/proc/self/root/etc/passwd').read() else '')",
        FILES,
    ),
    attack(
        "read a secret of the environment",
        "import os; print('SUCCEEDED' if 'SECRET' in os.environ else '')",
        {"environment"},
    ),
    attack(
        "read installed packages",
        "import glob; print('SUCCEEDED' if any(open(f, 'rb').read(1) for f in @PACKAGES@) else '')",
        FILES,
        needs="packages",
    ),
    # ------------------------------------------------------------- writing
    attack("write a file", "open('@FOLDER@/written', 'w').write('x'); print('SUCCEEDED')", FILES | FILTER | LIMITS),
    attack(
        "overwrite a file", "open('@FOLDER@/tests.py', 'r+').write('x'); print('SUCCEEDED')", FILES | FILTER | LIMITS
    ),
    attack(
        "empty a file",
        "import os; os.close(os.open('@FOLDER@/emptied', os.O_TRUNC)); print('SUCCEEDED')",
        FILES | FILTER,
    ),
    attack("delete a file", "import os; os.unlink('@FOLDER@/doomed'); print('SUCCEEDED')", FILES | FILTER),
    attack("make a folder", "import os; os.mkdir('@FOLDER@/made'); print('SUCCEEDED')", FILES | FILTER),
    attack("make a link", "import os; os.symlink('/etc/passwd', '@FOLDER@/link'); print('SUCCEEDED')", FILES | FILTER),
    attack("change the mode of a file", "import os; os.chmod('@FOLDER@/own', 0o777); print('SUCCEEDED')", OWNER),
    attack("change the times of a file", "import os; os.utime('@FOLDER@/own'); print('SUCCEEDED')", OWNER),
    attack(
        "write into shared memory",
        "open('/dev/shm/@NAME@', 'w').write('x'); print('SUCCEEDED')",
        FILES | FILTER | LIMITS,
    ),
    attack(
        "fill the disk with one file",
        "open('@FOLDER@/big', 'wb').write(b'x' * (8 << 20)); print('SUCCEEDED')",
        FILES | FILTER | LIMITS,
    ),
    attack(
        "fill its own folder with many files",
        "for n in range(40): open(f'/tmp/@NAME@-{n}', 'wb').write(b'x' * 100_000)\nprint('SUCCEEDED')",
        {"namespaces"} | LIMITS,
        limits=replace(SHORT, disk=1 << 20),
        loose=replace(PATIENT, disk=1 << 24),
        levels=("bwrap",),
    ),
    # ------------------------------------------------------------- network
    attack(
        "connect to a server",
        "import socket; socket.create_connection(('127.0.0.1', @PORT@), 2); print('SUCCEEDED')",
        FILES | FILTER,
    ),
    attack(
        "send a datagram",
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.sendto(b'x', ('127.0.0.1', @PORT@)); print('SUCCEEDED')",
        FILES | FILTER,
    ),
    attack(
        "listen",
        "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); print('SUCCEEDED')",
        FILES | FILTER,
    ),
    attack(
        "connect to a socket in a folder",
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('@FOLDER@/socket'); print('SUCCEEDED')",
        FILES | FILTER,
    ),
    attack(
        "connect to an abstract socket",
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('\\0@NAME@'); print('SUCCEEDED')",
        FILES | FILTER,
    ),
    attack(
        "ask the kernel's netlink",
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)\nprint('SUCCEEDED')",
        FILTER,
    ),
    # ------------------------------------------------------------- processes
    attack("fork", "import os\nif os.fork() == 0: os._exit(0)\nos.wait(); print('SUCCEEDED')", FILTER),
    attack(
        "fork many times",
        "import os\npids = []\n"
        "for _ in range(20):\n    p = os.fork()\n    if p == 0: os._exit(0)\n    pids.append(p)\nprint('SUCCEEDED')",
        FILTER,
    ),
    attack(
        "start a program",
        "import subprocess; print(subprocess.run(['/bin/echo', 'SUCCEEDED'], capture_output=True, text=True).stdout)",
        FILES | FILTER,
    ),
    attack(
        "become a program",
        "import os; os.execv('/bin/echo', ['echo', 'SUCCEEDED'])",
        FILES | FILTER,
    ),
    attack(
        "fork with a raw system call",
        _CALL + "import os\nr, e = call(56, 17, 0, 0, 0, 0)\n"
        "if r == 0: os._exit(0)\nprint('SUCCEEDED' if r > 0 else e)",
        FILTER,
        needs="x86_64",
    ),
    attack(
        "fork with clone3",
        _CALL
        + "import os, struct\nb = ctypes.create_string_buffer(struct.pack('=11Q', 0, 0, 0, 0, 17, *[0] * 6), 88)\n"
        "r, e = call(435, b, 88)\nif r == 0: os._exit(0)\nprint('SUCCEEDED' if r > 0 else e)",
        FILTER,
    ),
    attack(
        "outlive the run",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        os.closerange(0, 64)\n"
        "        time.sleep(20)\n    os._exit(0)\nprint('SUCCEEDED')",
        FILTER,
        loose=replace(PATIENT, seconds=1.0),
    ),
    attack(
        "start many threads",
        "import threading, time\n"
        "for _ in range(100): threading.Thread(target=time.sleep, args=(0.2,), daemon=True).start()\n"
        "print('SUCCEEDED')",
        LIMITS,
    ),
    # ------------------------------------------------------------- other processes
    attack("signal its parent", "import os; os.kill(os.getppid(), 0); print('SUCCEEDED')", OWNER),
    attack("signal another process of its user", "import os; os.kill(@VICTIM@, 0); print('SUCCEEDED')", OWNER),
    attack("signal everybody", "import os; os.kill(-1, 0); print('SUCCEEDED')", OWNER),
    attack(
        "queue a signal for another process",
        _CALL + "r, e = call(129, @VICTIM@, 0, ctypes.create_string_buffer(b'\\0' * 8 + (-2).to_bytes(4, 'little', "
        "signed=True), 128))\nprint('SUCCEEDED' if r == 0 else e)",
        OWNER,
        needs="x86_64",
    ),
    attack(
        "have the kernel send signals",
        "import fcntl, os; fcntl.fcntl(os.pipe()[0], 8, os.getpid())\nprint('SUCCEEDED')",
        FILTER,
    ),
    attack("trace", _CALL + "print('SUCCEEDED' if libc.ptrace(0, 0, 0, 0) == 0 else '')", FILTER),
    attack(
        "read a process's memory",
        _CALL + "import os, struct\nb = ctypes.create_string_buffer(b'abc', 8); c = ctypes.create_string_buffer(8)\n"
        "v = lambda x: ctypes.create_string_buffer(struct.pack('=QQ', ctypes.addressof(x), 8), 16)\n"
        "r, e = call(310, os.getpid(), v(b), 1, v(c), 1, 0)\nprint('SUCCEEDED' if r == 8 else e)",
        FILTER,
        needs="x86_64",
    ),
    attack("get hold of another process", "import os; os.pidfd_open(@VICTIM@); print('SUCCEEDED')", FILES | FILTER),
    attack(
        "see another process's limits",
        "import resource; resource.prlimit(@VICTIM@, resource.RLIMIT_CPU)\nprint('SUCCEEDED')",
        OWNER,
    ),
    attack(
        "slow its user's other processes", "import os; os.setpriority(os.PRIO_USER, 0, 1); print('SUCCEEDED')", FILTER
    ),
    attack(
        "pin itself to one processor",
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nprint('SUCCEEDED')",
        FILTER,
    ),
    # ------------------------------------------------------------- the kernel
    attack(
        "make a user namespace",
        _CALL + "r, e = call(272, 0x10000000); print('SUCCEEDED' if r == 0 else e)",
        FILTER,
        needs="x86_64",
    ),
    attack(
        "mount",
        _CALL + "call(272, 0x10020000)\nr = libc.mount(b'x', b'/dev', b'tmpfs', 0, None)\n"
        "print('SUCCEEDED' if r == 0 else ctypes.get_errno())",
        FILTER | FILES,
        needs="x86_64",
    ),
    attack(
        "make a key",
        _CALL + "r, e = call(248, b'user', b'@NAME@', b'x', 1, -3); print('SUCCEEDED' if r > 0 else e)",
        FILTER,
        needs="x86_64",
    ),
    attack(
        "make shared memory",
        _CALL + "r, e = call(29, 0, 4096, 0o1600); call(31, r, 0, None); print('SUCCEEDED' if r >= 0 else e)",
        FILTER,
        needs="x86_64",
    ),
    attack(
        "make a message queue",
        _CALL
        + "r, e = call(240, b'@NAME@', 0o102, 0o600, None); call(241, b'@NAME@')\nprint('SUCCEEDED' if r >= 0 else e)",
        FILES | FILTER,
        needs="x86_64",
    ),
    attack(
        "keep memory in a file without a name",
        "import os\nf = os.memfd_create('x')\nos.write(f, b'x' * (1 << 20)); print('SUCCEEDED')",
        FILTER | LIMITS,
    ),
    attack(
        "handle its own page faults",
        _CALL + "r, e = call(323, 1); print('SUCCEEDED' if r >= 0 else e)",
        FILTER,
        needs="userfaultfd",
    ),
    attack(
        "call the kernel as a 32-bit program",
        "import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\n"
        "m.write(bytes.fromhex('53b814000000cd805bc3'))\n"
        "f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\n"
        "print('SUCCEEDED' if f() > 0 else '')",
        FILTER,
        needs="ia32",
    ),
    attack(
        "allow itself to be read by others",
        _CALL + "print('SUCCEEDED' if libc.prctl(4, 1, 0, 0, 0) == 0 else '')",
        FILTER,
    ),
    attack("outlive its parent", _CALL + "print('SUCCEEDED' if libc.prctl(1, 0, 0, 0, 0) == 0 else '')", FILTER),
    attack(
        "send to a socket in a folder without connecting",
        "import socket; a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "a.sendto(b'x', '@FOLDER@/datagrams'); print('SUCCEEDED')",
        FILES | FILTER,
    ),
    attack(
        "have threads with files of their own",
        _CALL + "r, e = call(56, 0x10000, 0, 0, 0, 0); print('SUCCEEDED' if e == 22 else e)",  # EINVAL: it came through
        FILTER,
        needs="x86_64",
    ),
    attack(
        "lock a file of the library",
        "import fcntl, os; fcntl.lockf(open(os.__file__), fcntl.LOCK_SH)\nprint('SUCCEEDED')",
        FILTER,
    ),
    attack("read the machine's programs", "print('SUCCEEDED' if open('/usr/bin/env', 'rb').read(1) else '')", FILES),
    # ------------------------------------------------------------- memory, time, output
    attack(
        "keep memory that no limit counts",
        "import mmap\nkept = []\nfor _ in range(6):\n    m = mmap.mmap(-1, 64 << 20)\n"
        "    for at in range(0, 64 << 20, 4096): m[at] = 1\n    m.resize(4096); kept.append(m)\nprint('SUCCEEDED')",
        FILTER,
        loose=replace(PATIENT, memory=256 << 20),
    ),
    attack(
        "queue signals without end",
        "import resource as r\nprint('SUCCEEDED' if r.getrlimit(r.RLIMIT_SIGPENDING)[1] > 1000 else '')",
        LIMITS,
    ),
    attack(
        "start a helper for core dumps",
        "import resource as r\nprint('SUCCEEDED' if r.getrlimit(r.RLIMIT_CORE)[1] != 1 else '')",
        LIMITS,
    ),
    attack("fill the memory", "x = bytearray(1 << 30); print('SUCCEEDED')", LIMITS, contained=frozenset({"memory"})),
    attack(
        "fill the memory bit by bit",
        "x = []\nfor _ in range(100): x.append(bytes(4 << 20))\nprint('SUCCEEDED')",
        LIMITS,
        contained=frozenset({"memory"}),
    ),
    attack("map memory", "import mmap; m = mmap.mmap(-1, 1 << 30, flags=mmap.MAP_PRIVATE); print('SUCCEEDED')", LIMITS),
    attack(
        "raise its own limits",
        "import resource as r; r.setrlimit(r.RLIMIT_AS, (2 << 30, 2 << 30)); print('SUCCEEDED')",
        LIMITS,
    ),
    attack("open many files", "import os\nfor _ in range(200): os.dup(0)\nprint('SUCCEEDED')", LIMITS),
    attack(
        "loop",
        "import time\nt = time.monotonic()\nwhile time.monotonic() < t + 1: pass\nprint('SUCCEEDED')",
        NO_LIMIT,
        contained=TIME,
    ),
    attack(
        "loop inside a C function",
        "sum(range(100_000_000)); print('SUCCEEDED')",
        NO_LIMIT,
        contained=TIME,
        limits=replace(SHORT, seconds=0.5),
    ),
    attack("sleep", "import time; time.sleep(1); print('SUCCEEDED')", NO_LIMIT, contained=TIME),
    attack(
        "hang at exit",
        "import atexit, time; atexit.register(lambda: (time.sleep(1), print('SUCCEEDED')))",
        NO_LIMIT,
        contained=TIME,
    ),
    attack(
        "hang in a thread",
        "import threading, time; threading.Thread(target=lambda: (time.sleep(1), print('SUCCEEDED'))).start()",
        NO_LIMIT,
        contained=TIME,
    ),
    attack(
        "ignore signals and hang",
        "import signal, time\nfor s in range(1, 65):\n"
        "    try: signal.signal(s, signal.SIG_IGN)\n    except Exception: pass\n"
        "time.sleep(1); print('SUCCEEDED')",
        NO_LIMIT,
        contained=TIME,
    ),
    attack(
        "close its pipes and hang",
        "import os, time\nos.write(1, b'SUCC')\nt = os.dup(1)\nos.close(0); os.close(1); os.close(2)\n"
        "time.sleep(1); os.write(t, b'EEDED')",
        NO_LIMIT,
        contained=TIME,
    ),
    attack(
        "print too much", "print('x' * 1_000_000); print('SUCCEEDED')", NO_LIMIT, contained=frozenset({"output_limit"})
    ),
    attack(
        "print errors too much",
        "import sys; sys.stderr.write('x' * 1_000_000); print('SUCCEEDED')",
        NO_LIMIT,
        contained=frozenset({"output_limit"}),
    ),
)


PACKAGES = ("/usr/lib/python3/dist-packages", "/usr/local/lib")
"""Where a machine has packages that every user can read."""


def level_of(name: str, without: frozenset[str] = frozenset()) -> Level:
    return {"bwrap": Bubblewrap, "landlock": Landlock}[name](without)


def _prepared(stack: ExitStack) -> dict[str, str]:
    """What the programs go for: a folder, a server, another process, an environment."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
    folder.chmod(0o777)
    for name in ("tests.py", "emptied", "doomed", "own"):
        path = folder / name
        path.write_text("assert f(1) == 42")
        path.chmod(0o666)
    name = f"evalharness-{os.getpid()}"
    port = 0
    datagrams = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    datagrams.bind(str(folder / "datagrams"))
    (folder / "datagrams").chmod(0o777)
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", 0)),
        (socket.AF_UNIX, str(folder / "socket")),
        (socket.AF_UNIX, f"\0{name}"),
    ):
        server = stack.enter_context(socket.socket(family))
        server.bind(address)
        server.listen(64)
        port = port or server.getsockname()[1]
        threading.Thread(target=_accept, args=(server,), daemon=True).start()
    (folder / "socket").chmod(0o777)
    victim = subprocess.Popen(["sleep", "600"], cwd="/")
    stack.callback(victim.kill)
    os.environ["SECRET"] = "of the harness"
    installed = (path for place in PACKAGES for path in Path(place).rglob("*.py") if os.access(path, os.R_OK))
    files = [str(path) for path in itertools.islice(installed, 1)]
    return {
        "@FOLDER@": str(folder),
        "@PORT@": str(port),
        "@VICTIM@": str(victim.pid),
        "@NAME@": name,
        "@PACKAGES@": repr(files),
    }


def _accept(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            server.accept()[0].close()


def attacked(level: str) -> dict[str, dict[str, object]]:
    """What came of every program at a level: with its protections left out, and with all of them."""
    interpreter = find_interpreter()
    with ExitStack() as stack:
        places = _prepared(stack)

        def tried(each: Attack) -> dict[str, object]:
            source = each.source
            for key, value in places.items():
                source = source.replace(key, value)
            shown = Sandbox(level_of(level, each.without), interpreter).run(source, limits=each.loose)
            held = Sandbox(level_of(level), interpreter).run(source, limits=each.limits)
            return {
                "shown": "SUCCEEDED" in shown.stdout,
                "why": f"{shown.status}: {shown.explanation}",
                "succeeded": "SUCCEEDED" in held.stdout,
                "status": held.status,
                "explanation": held.explanation,
                "seconds": held.seconds,
            }

        wanted = [each for each in ATTACKS if level in each.levels]
        with ThreadPoolExecutor(3) as threads:
            return dict(zip([each.name for each in wanted], threads.map(tried, wanted), strict=True))


ONLY_TIME = (
    "hang at exit",
    "hang in a thread",
    "ignore signals and hang",
    "close its pipes and hang",
    "outlive the run",
)


def left_behind(level: str) -> str:
    """Run the programs that cling to life most, and end boxes while they are made; their processes carry the mark that
    is given back."""
    mark = f"box of {os.getpid()}"
    levels._SOURCES["boot"] = f"{levels.inside('boot')}# {mark}"
    sandbox = Sandbox(level_of(level), find_interpreter())
    for each in ATTACKS:
        if each.name in ONLY_TIME:
            sandbox.run(each.source, limits=replace(each.limits, seconds=0.2))
    for step in range(40):
        box = Box(level_of(level).launch(find_interpreter(), SHORT), ("confine", "program"), {"source": SLEEP}, 1000)
        time.sleep(step / 2000)
        began = time.monotonic()
        box.kill()
        assert time.monotonic() - began < 5, "ending a box that is being made takes long"
    return mark


SLEEP = "import time; time.sleep(600)"


def marked(mark: str) -> list[str]:
    """The processes of this machine that carry a mark in their command."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


if __name__ == "__main__":
    what, of = sys.argv[1:]
    print(json.dumps({"attack": attacked, "leave": left_behind}[what](of)))
