"""Programs, tested candidates and sessions: every outcome, told apart, at both levels."""

from __future__ import annotations

import shutil
import time

import pytest

from evalharness.sandbox.choose import choose
from evalharness.sandbox.outcome import Limits
from evalharness.sandbox.sandbox import Sandbox

SOON = Limits(seconds=1.0, memory=256 << 20, output=50_000)


@pytest.fixture(scope="module", params=["bwrap", "landlock"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    if request.param == "bwrap" and not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")
    return choose(request.param)


PROGRAMS = {
    "prints": ("print('a'); print('b')", "pass", None),
    "exits with 0": ("import sys; sys.exit(0)", "pass", None),
    "exits with 3": ("import sys; sys.exit(3)", "error", "exit status 3"),
    "exits at once": ("import os; os._exit(4)", "error", "exit status 4"),
    "raises": ("1/0", "error", "ZeroDivisionError: division by zero"),
    "raises in a function": ("def f(): raise KeyError('x')\nf()", "error", "KeyError: 'x'"),
    "is no Python": ("def f(:", "error", "SyntaxError: invalid syntax"),
    "holds a null byte": ("x = '\0'", "error", None),
    "holds half a surrogate pair": ("x = '\ud800'; print('a')", "pass", None),
    "is empty": ("", "pass", None),
    "ends by a signal": ("import ctypes; ctypes.string_at(0)", "error", "segmentation fault"),
    "kills itself": ("import os; os.kill(os.getpid(), 9)", "error", "killed"),
    "loops": ("while True: pass", "timeout", "longer than 1 s"),
    "fills the memory": ("bytearray(1 << 40)", "memory", "MemoryError"),
    "prints too much": ("print('x' * 100_000)", "output_limit", "more than 50,000 bytes of output"),
    "wants a package": ("import numpy", "error", "ModuleNotFoundError: No module named 'numpy'"),
    "is main": ("if __name__ == '__main__': print('a')", "pass", None),
    "uses dataclasses": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: 'int'\nprint(A(1))",
        "pass",
        None,
    ),
    "uses threads": ("import threading; t = threading.Thread(target=print); t.start(); t.join()", "pass", None),
    "uses an event loop": ("import asyncio; asyncio.run(asyncio.sleep(0))", "pass", None),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(sandbox: Sandbox, name: str) -> None:
    source, status, why = PROGRAMS[name]
    outcome = sandbox.run(source, limits=SOON)
    assert outcome.status == status, outcome
    assert outcome.level == sandbox.level
    if why is not None:
        assert outcome.explanation == why


def test_input_and_output_are_the_programs_own(sandbox: Sandbox) -> None:
    text = "ä\n" * 20_000  # more than a pipe holds
    outcome = sandbox.run(
        "import sys\nlines = sys.stdin.readlines()\nprint(len(lines), lines[0].strip())\nprint('e', file=sys.stderr)",
        stdin=text,
        limits=SOON,
    )
    assert (outcome.status, outcome.stdout, outcome.stderr) == ("pass", "20000 ä\n", "e\n")


def test_a_program_that_reads_nothing(sandbox: Sandbox) -> None:
    assert sandbox.run("print(1)", stdin="x" * 1_000_000, limits=SOON).status == "pass"


def test_limits_that_bound_nothing() -> None:
    for wrong in ({"seconds": float("inf")}, {"seconds": 0}, {"memory": 1 << 70}, {"output": 0}, {"disk": -1}):
        with pytest.raises(ValueError, match="bound nothing"):
            Limits(**wrong)  # type: ignore[arg-type]


def test_outcomes_do_not_depend_on_hash_seeds(sandbox: Sandbox) -> None:
    source = "print(list({'a', 'b', 'c', 'd', 'e'}))"
    assert len({sandbox.run(source).stdout for _ in range(4)}) == 1


CANDIDATES = {
    "right": ("def f(x): return x + 1", "pass", None),
    "wrong": ("def f(x): return x", "fail", "assert f(1) == 2; the last call returned 1"),
    "wrong type": ("def f(x): return str(x + 1)", "fail", "assert f(1) == 2; the last call returned '2'"),
    "raises": ("def f(x): raise ValueError('no')", "error", "ValueError: no in assert f(1) == 2"),
    "raises its own": (
        "class E(KeyError): pass\ndef f(x): raise E('no')",
        "error",
        "E: 'no' in assert f(1) == 2",
    ),
    "is not there": ("g = 1", "error", "NameError: name 'f' is not defined in assert f(1) == 2"),
    "cannot be loaded": ("import nothing_like_it", "error", "ModuleNotFoundError: No module named 'nothing_like_it'"),
    "is no Python": ("def f(x) return", "error", None),
    "exits": ("import sys; sys.exit()", "error", None),
    "ends": ("import os\ndef f(x): os._exit(7)", "error", "the program ended before its tests did (exit status 7)"),
    "crashes": (
        "import ctypes\ndef f(x): ctypes.string_at(0)",
        "error",
        "the program ended before its tests did (segmentation fault)",
    ),
    "loops": ("def f(x):\n    while True: pass", "timeout", "longer than 1 s"),
    "loops while it is loaded": ("while True: pass", "timeout", "longer than 1 s"),
    "fills the memory": ("def f(x): return bytearray(1 << 40)", "memory", "MemoryError"),
    "prints while it answers": ("def f(x):\n    print('noise')\n    return x + 1", "pass", None),
    "prints too much": ("def f(x):\n    print('x' * 100_000)\n    return x + 1", "output_limit", None),
    "returns too much": ("def f(x): return 'x' * 100_000", "output_limit", "returned a value of more than 50000 bytes"),
    "returns an object": ("def f(x): return object()", "error", None),
    "recurses": ("def f(x): return f(x)", "error", None),
    "closes its pipes": ("import os\nos.closerange(0, 64)\ndef f(x): return 2", "error", None),
}


@pytest.mark.parametrize("name", CANDIDATES)
def test_candidates(sandbox: Sandbox, name: str) -> None:
    source, status, why = CANDIDATES[name]
    outcome = sandbox.test(source, tests="assert f(1) == 2", calls=["f"], limits=SOON)
    assert outcome.status == status, outcome
    assert not outcome.in_box
    if why is not None:
        assert outcome.explanation == why


def test_tests_may_expect_an_exception(sandbox: Sandbox) -> None:
    tests = "try:\n    f(1)\n    assert False\nexcept ValueError as error:\n    assert str(error) == 'no'"
    assert sandbox.test("def f(x): raise ValueError('no')", tests=tests, calls=["f"]).status == "pass"
    assert sandbox.test("def f(x): return 1", tests=tests, calls=["f"]).status == "fail"


def test_setup_is_there_for_the_tests_only(sandbox: Sandbox) -> None:
    setup = "def helper(x): return x * 2"
    assert (
        sandbox.test("def f(x): return x", tests="assert f(helper(2)) == 4", calls=["f"], setup=setup).status == "pass"
    )
    assert (
        sandbox.test("def f(x): return helper(x)", tests="assert f(2) == 4", calls=["f"], setup=setup).status == "error"
    )


def test_several_functions_with_state_and_keywords(sandbox: Sandbox) -> None:
    source = "seen = []\ndef put(x, *, twice=False): seen.append((x, twice))\ndef get(): return seen"
    tests = "put(1)\nput({'a': (2,)}, twice=True)\nassert get() == [(1, False), ({'a': (2,)}, True)]"
    assert sandbox.test(source, tests=tests, calls=["put", "get"]).status == "pass"


def test_faults_of_the_tests_are_not_the_candidates(sandbox: Sandbox) -> None:
    for tests, setup in (("assert (", ""), ("assert f(1) == 2", "1/0"), ("f(object())", "")):
        outcome = sandbox.test("def f(x): return 2", tests=tests, calls=["f"], setup=setup, limits=SOON)
        assert outcome.status == "sandbox_error", outcome
    quiet = sandbox.test("def f(x): return 2", tests="print('x' * 100_000)", calls=["f"], limits=SOON)
    assert quiet.status == "pass", "what the tests print is nobody's business"


HIDING = {
    "too long a reason": """
import os
def f(x):
    line = '{"answer":1,"too_long":"' + 'é' * 20_000 + '"}\\n'
    for fd in range(3, 64):
        try: os.write(fd, line.encode())
        except OSError: pass
    os._exit(0)
""",
    "a value that cannot go back": "def f(x):\n    v = []\n    for _ in range(199): v = [v]\n    return v",
    "a value that cannot be shown": "def f(x): return 1 << 100_000",
    "an end in the middle": "import os\ndef f(x):\n    if x: os._exit(0)\n    return [0]",
    "a broken line": "import os\ndef f(x):\n    for fd in range(3, 64):\n        try: os.write(fd, b'{\\n')\n"
    "        except OSError: pass",
    "an exhausted iterator": "def f(x): raise StopIteration",
    "an interruption": "def f(x): raise KeyboardInterrupt",
    "an answer ahead": "import os\nfor fd in range(3, 64):\n"
    '    try: os.write(fd, b\'{"answer":1,"value":3}\\n{"answer":2,"value":3}\\n\')\n'
    "    except OSError: pass\ndef f(x): return None",
}


@pytest.mark.parametrize("name", HIDING)
def test_no_candidate_makes_itself_uncounted(sandbox: Sandbox, name: str) -> None:
    tests = "r = f(0)\nprint(r)\nf(r)\nassert r == 3, r\nfor a, b in zip(map(f, [1]), [4]): assert a == b\n"
    hidden = "try:\n    f(1)\nexcept:\n    pass\nelse:\n    assert f(1) == 4"
    raises = name == "an exhausted iterator"  # which tests that catch everything may want
    for asked in (tests,) if raises else (tests, hidden):
        outcome = sandbox.test(HIDING[name], tests=asked, calls=["f"], limits=SOON)
        assert outcome.status in ("error", "fail", "output_limit"), outcome
        assert len(outcome.explanation or "") <= 600


def test_in_the_box(sandbox: Sandbox) -> None:
    source = "class Pair:\n    def __init__(self, x): self.x = x\ndef f(pair): return pair.x"
    for tests, status in (("assert f(Pair(3)) == 3", "pass"), ("assert f(Pair(3)) == 4", "fail")):
        outcome = sandbox.test(source, tests=tests, calls=[], in_box=True, limits=SOON)
        assert (outcome.status, outcome.in_box) == (status, True), outcome
    assert sandbox.test("1/0", tests="", calls=[], in_box=True, limits=SOON).status == "error"
    assert sandbox.test("while True: pass", tests="", calls=[], in_box=True, limits=SOON).status == "timeout"
    assert sandbox.test("bytearray(1 << 40)", tests="", calls=[], in_box=True, limits=SOON).status == "memory"


BOMBS = {
    "a power of ten": '{"fraction":"1e99999999"}\n',
    "equal hashes": '{"set":[' + ",".join(str((2**61 - 1) * n) for n in range(1, 1500)) + "]}\n",
    "another type": '{"loaded":false,"status":"error","why":{"int":"0x' + "f" * 20_000 + '"}}\n',
    "a list": '{"loaded":false,"status":"error","why":[1]}\n',
    "deep": "[" * 20_000 + "\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_a_program_writes_into_its_channel_is_not_decoded_by_the_harness(sandbox: Sandbox, name: str) -> None:
    line = BOMBS[name].encode()
    source = f"import os\nfor fd in range(3, 64):\n    try: os.write(fd, {line!r})\n    except OSError: pass\n"
    began = time.monotonic()
    assert sandbox.test(source, tests="", calls=[], in_box=True, limits=SOON).status == "error"
    with sandbox.session(limits=SOON) as session:
        outcome = session.execute(source + "1")
        assert outcome.status == "error"
        assert isinstance(outcome.explanation, str)
    assert time.monotonic() - began < 10


def test_a_flood_of_answers_stays_outside(sandbox: Sandbox) -> None:
    source = """
import os
def f(x):
    while True:
        for fd in range(3, 64):
            try: os.write(fd, b'{"answer":1,"value":1}' + b' ' * 40_000 + b'\\n')
            except OSError: pass
"""
    outcome = sandbox.test(source, tests="import time\nassert f(1) == 1\ntime.sleep(5)", calls=["f"], limits=SOON)
    assert (outcome.status, outcome.explanation) == ("error", "the program answered what nobody asked")


def test_a_verdict_in_the_box_may_not_be_that_the_box_failed(sandbox: Sandbox) -> None:
    source = """
import json, os, sys
class Any:
    def __eq__(self, other):
        frame = sys._getframe(1)
        while 'tests' not in frame.f_locals or 'nonce' not in frame.f_locals['tests']: frame = frame.f_back
        line = json.dumps({'nonce': frame.f_locals['tests']['nonce'], 'verdict': 'sandbox_error', 'why': 'x'})
        for fd in range(3, 64):
            try: os.write(fd, line.encode() + b'\\n')
            except OSError: pass
        os._exit(0)
"""
    outcome = sandbox.test(source, tests="assert Any() == 1", calls=[], in_box=True, limits=SOON)
    assert outcome.status == "error", outcome


def test_meddling_with_tests_in_the_box_is_found_out(sandbox: Sandbox) -> None:
    source = (
        "import sys\nhere = sys._getframe(1).f_locals\n"
        "here['outcome'].__code__ = (lambda run, source, candidate=None: ('pass', None)).__code__\n"
    )
    outcome = sandbox.test(source, tests="assert False", calls=[], in_box=True, limits=SOON)
    assert (outcome.status, outcome.explanation) == ("error", "the program meddles with its tests")


def test_annotations_are_evaluated_as_in_a_script(sandbox: Sandbox) -> None:
    source = "def f(x: List[int]): return 2"
    assert sandbox.test(source, tests="assert f(1) == 2", calls=["f"]).status == "error"
    assert sandbox.run(source).status == "error"
    with sandbox.session() as session:
        assert session.execute(source).status == "error"


def test_small_mercies(sandbox: Sandbox) -> None:
    assert sandbox.run("\ufeffprint(1); exit()").stdout == "1\n"
    tests = "try:\n    f(1)\nexcept KeyError as error:\n    assert error.args == ('x', 2)\nelse:\n    assert False"
    assert sandbox.test("def f(x): raise KeyError('x', 2)", tests=tests, calls=["f"]).status == "pass"
    odd = "try:\n    f(1)\nexcept UnicodeDecodeError:\n    pass\nelse:\n    assert False"
    assert sandbox.test("def f(x): return b'\\xff'.decode()", tests=odd, calls=["f"]).status == "pass"
    spoken = sandbox.test("def f(x):\n    print('seen')\n    return 1", tests="assert f(1) == 2", calls=["f"])
    assert spoken.stderr == "seen\n"


def test_threads_are_bounded(sandbox: Sandbox) -> None:
    source = """
import ctypes
libc = ctypes.CDLL(None)
attributes, thread = ctypes.create_string_buffer(64), ctypes.c_ulong()
libc.pthread_attr_init(attributes)
libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(16384))
made = 0
while made < 5000 and libc.pthread_create(ctypes.byref(thread), attributes, libc.pause, None) == 0: made += 1
print(made, flush=True)
import os; os._exit(0)
"""
    outcome = sandbox.run(source, limits=SOON)
    assert outcome.status == "pass"
    assert int(outcome.stdout) <= 1200


def test_a_session_keeps_its_variables(sandbox: Sandbox) -> None:
    with sandbox.session(limits=SOON) as session:
        first = session.execute("x = 20\nprint('said')\nx + 1")
        assert (first.status, first.value, first.stdout) == ("pass", "21", "said\n")
        assert session.execute("def f(): return x * 2").value is None
        assert session.execute("f()").value == "40"
        wrong = session.execute("y = 1\n1/0")
        assert (wrong.status, wrong.explanation) == ("error", "ZeroDivisionError: division by zero (line 2)")
        assert session.execute("y").value == "1"
        assert session.execute("def (").status == "error"
        loud = session.execute("print('x' * 100_000)")
        assert loud.status == "output_limit"
        assert session.execute("x").value == "20"
        assert session.execute("import sys; sys.exit()").status == "error"
        assert session.execute("x").value == "20"


def test_a_session_does_not_compute_between_its_pieces(sandbox: Sandbox) -> None:
    busy = """
import threading, time
count = 0
def work():
    global count
    while True: count += 1
threading.Thread(target=work, daemon=True).start()
"""
    with sandbox.session(limits=SOON) as session:
        assert session.execute(busy).status == "pass"
        before = int(str(session.execute("count").value))
        during = int(str(session.execute("time.sleep(.2); count").value)) - before
        before = int(str(session.execute("count").value))
        time.sleep(0.4)
        between = int(str(session.execute("count").value)) - before
        assert between < during / 2


def test_what_a_session_says_can_be_written_anywhere(sandbox: Sandbox) -> None:
    with sandbox.session(limits=SOON) as session:
        outcome = session.execute("print('\\ud800'); '\\ud800'")
        assert outcome.stdout == "?\n"
        outcome.stdout.encode()
        assert session.execute("print('é' * 6_000)").stdout == "é" * 6_000 + "\n"


def test_a_session_that_ended_says_so_until_it_is_reset(sandbox: Sandbox) -> None:
    with sandbox.session(limits=SOON) as session:
        assert session.execute("x = 1").status == "pass"
        assert session.execute("while True: pass").status == "timeout"
        gone = session.execute("x")
        assert (gone.status, gone.explanation) == ("error", "the session has ended: timeout: longer than 1 s")
        session.reset()
        assert session.execute("x").explanation == "NameError: name 'x' is not defined (line 1)"
        assert session.execute("import os; os._exit(3)").explanation == "the session ended (exit status 3)"
    assert session.execute("1").explanation == "the session has ended: closed"


def test_files_and_processes_where_a_level_can_bound_them(sandbox: Sandbox) -> None:
    writing = "open('/tmp/x', 'w').write('abc'); print(open('/tmp/x').read())"
    forking = "import os\nif os.fork() == 0: os._exit(0)\nos.wait(); print('abc')"
    for source, limits in ((writing, Limits(disk=1 << 20)), (forking, Limits(processes=2))):
        outcome = sandbox.run(source, limits=limits)
        if sandbox.level == "bwrap":
            assert (outcome.status, outcome.stdout) == ("pass", "abc\n"), outcome
        else:
            assert outcome.status == "sandbox_error"
            assert "install bubblewrap" in str(outcome.explanation)
