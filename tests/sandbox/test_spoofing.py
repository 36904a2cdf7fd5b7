"""Candidates that go for the grader. Each fools one that runs tests in the candidate's own process, and not ours."""

from __future__ import annotations

import subprocess
import sys

import pytest

from evalharness.sandbox.choose import choose
from evalharness.sandbox.outcome import Limits
from evalharness.sandbox.sandbox import Sandbox

TESTS = """
import math
def check(candidate):
    assert candidate([3, 1, 2]) == [1, 2, 3]
    assert candidate([5, 4]) == [4, 5]
    values = [9, 8, 7]
    assert candidate(values) == sorted(values)
    assert math.isclose(candidate([2.5])[0], 2.5)
check(solution)
"""
PASSED = "tests passed"

SPOOFS = {
    "an object that equals everything": """
class Any(list):
    def __eq__(self, other): return True
    def __getitem__(self, key): return 2.5
def solution(values): return Any()
""",
    "a list that equals everything": """
class Any(list):
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
def solution(values): return Any([2.5])
""",
    "a mangled argument": """
def solution(values):
    import inspect
    tests = inspect.currentframe().f_back.f_code.co_consts
    values.clear()
    return {0: [1, 2, 3]}.get(0) if not hasattr(solution, 'n') else values
solution = type('F', (), {'__call__': lambda s, v: (type('A', (list,), {'__eq__': lambda a, b: True,
    '__getitem__': lambda a, k: 2.5})())})()
""",
    "leaving early with success": "import os\nprint('tests passed', flush=True)\nos._exit(0)\n",
    "leaving when called": """
def solution(values):
    import os
    print('tests passed', flush=True)
    os._exit(0)
""",
    "leaving at exit": """
import atexit, os, sys
atexit.register(lambda: (print('tests passed', flush=True), os._exit(0)))
def solution(values): raise SystemExit(0)
""",
    "a hook for errors": """
import sys, os
sys.excepthook = lambda *a: (print('tests passed', flush=True), os._exit(0))
def solution(values): return None
""",
    "another exception for assertions": """
import builtins, sys, os
class Quiet(Exception):
    def __init__(self, *a): print('tests passed', flush=True); os._exit(0)
builtins.AssertionError = Quiet
sys.excepthook = lambda *a: (print('tests passed', flush=True), os._exit(0))
def solution(values): return None
""",
    "a patched comparison": """
import math, builtins
class Any(list):
    def __eq__(self, other): return True
    def __getitem__(self, key): return 0
math.isclose = lambda *a, **k: True
def solution(values): return Any()
""",
    "the tests read from the caller's frame": """
import sys
def solution(values):
    frame = sys._getframe(1)
    wanted = [c for c in frame.f_code.co_consts if isinstance(c, (tuple, list))]
    names = frame.f_locals
    class Any(list):
        def __eq__(self, other): return bool(frame.f_code.co_name == 'check')
        def __getitem__(self, key): return 2.5
    return Any() if frame.f_code.co_name == 'check' else None
""",
    "the tests replaced in the caller's globals": """
import sys
class Passing:
    def __call__(self, *a): return self
    def __eq__(self, other): return True
    def __getitem__(self, key): return 2.5
def solution(values):
    sys._getframe(1).f_globals['check'] = lambda c: None
    return Passing()
""",
    "an exit in a thread": """
import threading, os, time
def leave():
    time.sleep(0.05); print('tests passed', flush=True); os._exit(0)
threading.Thread(target=leave).start()
def solution(values): time.sleep(5)
""",
}

# These go for our own channel: a naive grader has none, so there is nothing to show.
CHANNEL = {
    "a verdict on every file": """
import os
for line in (b'{"dict":[["verdict","pass"],["why",null]]}\\n', b'{"verdict": "pass", "why": null}\\n'):
    for fd in range(1, 64):
        try: os.write(fd, line)
        except OSError: pass
def solution(values): return None
""",
    "answers ahead of the questions": """
import os
for fd in range(3, 64):
    try: os.write(fd, b'{"dict":[["value",[1,2,3]]]}\\n' * 50)
    except OSError: pass
def solution(values): return None
""",
    "calls of its own": """
import os
for fd in range(3, 64):
    try: os.write(fd, b'{"dict":[["call","solution"],["args",[]],["kwargs",{"dict":[]}]]}\\n')
    except OSError: pass
def solution(values): return None
""",
    "an answer nested too deep": """
import os
def solution(values):
    for fd in range(3, 64):
        try: os.write(fd, b'{"dict":[["value",' + b'[' * 50000 + b']' * 50000 + b']]}\\n')
        except OSError: pass
    return None
""",
    "an answer that is no message": """
import os
def solution(values):
    for fd in range(3, 64):
        try: os.write(fd, b'[1]\\nnull\\n"x"\\n{"set":[[1]]}\\n')
        except OSError: pass
    return None
""",
    "an exception made of the wrong parts": """
import os
def solution(values):
    for fd in range(3, 64):
        try: os.write(fd, b'{"dict":[["raised",[1,2,"__import__"]]]}\\n')
        except OSError: pass
    return None
""",
    "a line without an end": """
import os
def solution(values):
    while True:
        for fd in range(3, 64):
            try: os.write(fd, b'x' * 65536)
            except OSError: pass
""",
}


@pytest.fixture(scope="module", params=["bwrap", "landlock"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    if request.param == "bwrap":
        import shutil

        if not shutil.which("bwrap"):
            pytest.skip("bubblewrap is not installed")
    return choose(request.param)


@pytest.mark.parametrize("name", SPOOFS)
def test_a_naive_grader_is_fooled(name: str) -> None:
    program = f"{SPOOFS[name]}\n{TESTS}\nprint({PASSED!r})\n"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, PASSED in ended.stdout) == (0, True), ended.stderr


@pytest.mark.parametrize("name", [*SPOOFS, *CHANNEL])
def test_ours_is_not(sandbox: Sandbox, name: str) -> None:
    source = {**SPOOFS, **CHANNEL}[name]
    outcome = sandbox.test(source, tests=TESTS, calls=["solution"], limits=Limits(seconds=1))
    assert outcome.status not in ("pass", "sandbox_error"), outcome


def test_no_test_is_in_the_candidates_process(sandbox: Sandbox) -> None:
    source = """
import gc, sys
def seen():
    pattern = ''.join(reversed('REKRAM'))
    frames, frame = [], sys._getframe(1)
    while frame:
        frames.append(frame.f_locals); frames.append(frame.f_globals); frame = frame.f_back
    held = [*frames, *(o for o in gc.get_objects() if isinstance(o, (dict, list, tuple)))]
    values = [x for h in held for x in (h.values() if isinstance(h, dict) else h)]
    return sum(isinstance(x, str) and pattern in x for x in values)
"""
    found = sandbox.test(source, tests="MARKER = 'MARKER'\nassert seen() == 0", calls=["seen"])
    assert found.status == "pass", found
    in_box = sandbox.test(source, tests="MARKER = 'MARKER'\nassert seen() == 0", calls=["seen"], in_box=True)
    assert in_box.status == "fail", "the search itself finds what is there"


def test_an_honest_candidate_passes(sandbox: Sandbox) -> None:
    outcome = sandbox.test("solution = sorted", tests=TESTS, calls=["solution"])
    assert outcome.status == "pass", outcome


@pytest.mark.parametrize(
    "source",
    [
        "import os; os._exit(0)",
        "import os\nfor fd in range(1, 64):\n"
        '    try: os.write(fd, b\'{"dict":[["nonce",""],["verdict","pass"],["why",null]]}\\n\')\n'
        "    except OSError: pass\n",
        "import os\nfor fd in range(1, 64):\n"
        '    try: os.write(fd, b\'{"dict":[["loaded",true]]}\\n\' * 2)\n    except OSError: pass\n',
        "import sys; sys.exit(0)",
    ],
)
def test_tests_in_the_box_want_their_nonce(sandbox: Sandbox, source: str) -> None:
    outcome = sandbox.test(source, tests=TESTS, calls=["solution"], in_box=True, limits=Limits(seconds=1))
    assert outcome.in_box
    assert outcome.status in ("error", "fail"), outcome
