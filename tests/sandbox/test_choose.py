"""Which level is taken, and what is said where none works."""

from __future__ import annotations

import platform
import shutil
import sys

import pytest

from evalharness.errors import ServiceError, UsageError
from evalharness.sandbox import choose as module
from evalharness.sandbox.choose import choose
from evalharness.sandbox.interpreter import find_interpreter
from evalharness.sandbox.levels import Landlock
from evalharness.sandbox.selftest import PROBES, try_levels


def test_an_isolated_level_works_here() -> None:
    """Without one this machine must not run the tests of code, nor say that they passed."""
    sandbox = choose()
    assert sandbox.level == ("bwrap" if shutil.which("bwrap") else "landlock")
    assert sandbox.facts()["isolated"] is True


def test_what_each_level_holds_here() -> None:
    tried = {each.level: each for each in try_levels()}
    assert tried["landlock"].missing is None
    for each in tried.values():
        if each.missing is None:
            assert {finding.probe for finding in each.findings} == set(PROBES)
            assert each.works, [finding for finding in each.findings if not finding.held]


def test_landlock_takes_the_place_of_a_missing_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert choose().level == "landlock"


def test_no_level_no_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "trouble", lambda sandbox: "the kernel refuses")
    with pytest.raises(ServiceError, match=r"none works here .*the kernel refuses.*--allow-unsafe-execution"):
        choose()


def test_a_machine_without_a_filter_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "sparc")
    with pytest.raises(ServiceError, match="no filter of system calls for sparc"):
        choose()


def test_without_isolation_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--allow-unsafe-execution"):
        choose("unsafe")
    assert choose("unsafe", allow_unsafe=True).facts()["isolated"] is False
    assert choose(allow_unsafe=True).level != "unsafe", "the best level is taken all the same"
    monkeypatch.setattr(Landlock, "missing", lambda self: "not in this kernel")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    sandbox = choose(allow_unsafe=True)
    assert sandbox.level == "unsafe"
    assert sandbox.run("print(1)").stdout == "1\n"


def test_unknown_levels_and_interpreters() -> None:
    with pytest.raises(UsageError, match=r"--sandbox bwarp: .*did you mean 'bwrap'"):
        choose("bwarp")
    with pytest.raises(UsageError, match=r"no Python 3\.8 or newer"):
        find_interpreter("/bin/sh")
    with pytest.raises(ServiceError, match=r"no image is named|neither podman nor docker"):
        choose("container")


def test_a_named_interpreter_brings_its_packages() -> None:
    usable = find_interpreter()
    named = find_interpreter(usable.executable)
    assert "-S" in usable.options
    assert named.hidden == ()
    assert "-S" not in named.options
    assert choose(python=usable.executable).run("import site; print(1)").status == "pass"
    assert sys.version_info >= (3, 11)
