"""Proofs before a stand-in for Lean, which shows that the plumbing holds and nothing about Lean itself.

The stand-in is a script called `lean`. It fails where a file says ``wrong``, sleeps where it says ``slow``, and prints
what Lean prints for ``#print axioms``.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from e2e.rows import write_rows
from judging.says import bench

import evalharness
from evalharness.errors import DataError, ServiceError
from evalharness.judging.base import build_judges
from evalharness.judging.lean import Lean
from evalharness.judging.lean_words import axioms_of, forbidden, name_of, without_comments
from evalharness.sandbox.interpreter import find_interpreter
from evalharness.sandbox.levels import Bubblewrap, Unsafe
from evalharness.sandbox.pool import Pool
from evalharness.sandbox.sandbox import Sandbox
from evalharness.types import Verdict

FAKE = """\
#!/usr/bin/env python3
import re, sys, time
if sys.argv[-1] == "--version":
    print("Lean (version 4.0.0, a stand-in)")
    sys.exit(0)
assert sys.argv[-1] == "--stdin"
text = sys.stdin.buffer.read().decode()
if "slow" in text:
    time.sleep(60)
if "wrong" in text:
    print("<stdin>:3:2: error: unsolved goals")
    sys.exit(1)
name = re.search(r"#print axioms (\\S+)", text)[1]
if "choose" in text:
    print(f"'{name}' depends on axioms: [propext,\\n Classical.choice]")
elif "assume" in text:
    print(f"'{name}' depends on axioms: [propext, secret]")
elif "silent" not in text:
    print(f"'{name}' does not depend on any axioms")
"""
ROW = {"header": "import Mathlib", "statement": "theorem own (n : ℕ) : n = n :="}


@pytest.fixture
def lean(tmp_path: Path) -> Path:
    path = tmp_path / "lean"
    path.write_text(FAKE)
    path.chmod(0o755)
    tmp_path.chmod(0o755)
    return path


def judge(lean: Path | str, **options: Any) -> Lean:
    spec = {
        "judge": "lean",
        "header": "{{ header }}",
        "statement": "{{ statement }}",
        "command": [str(lean)],
        **options,
    }
    (built,) = build_judges([{"memory": 2048, **spec}], "own.yaml: judging")
    assert isinstance(built, Lean)
    return built


def judged(built: Lean, *proofs: str, boxes: Sandbox | None = None) -> tuple[Verdict, ...]:
    pool = Pool(boxes or Sandbox(Unsafe(), find_interpreter(None)))
    try:
        return asyncio.run(built.verdicts(replace(bench(None, ROW, *proofs), sandbox=pool)))
    finally:
        pool.close()


def test_what_lean_says_becomes_the_verdict(lean: Path) -> None:
    found = judged(judge(lean), "by rfl", "by wrong", "by choose", "by assume", "by silent", "by sorry")
    assert [(verdict.label, verdict.explanation) for verdict in found[2:]] == [
        ("pass", None),
        ("fail", "the proof uses secret"),
        ("fail", "Lean does not say which axioms 'own' uses"),
        ("refused", "a proof may not say 'sorry'"),
    ]
    assert found[0].label == "pass"
    assert found[0].details["file"] == (
        "import Mathlib\n\ntheorem own (n : ℕ) : n = n := by rfl\n\n#print axioms own\n"
    )
    assert found[1].label == "fail"
    assert "error: unsolved goals" in str(found[1].explanation)


def test_in_a_box_of_its_own() -> None:
    if (why := Bubblewrap().missing()) is not None:
        pytest.skip(f"bubblewrap does not work here: {why}")
    python = find_interpreter(None)
    own = judge("", command=[python.executable, "-c", FAKE])
    found = judged(own, "by rfl", "by wrong", boxes=Sandbox(Bubblewrap(), python))
    assert [(verdict.label, verdict.details["level"]) for verdict in found] == [("pass", "bwrap"), ("fail", "bwrap")]


def test_a_proof_that_takes_too_long(lean: Path) -> None:
    (verdict,) = judged(judge(lean, seconds=1), "by slow")
    assert verdict.label == "timeout"


def test_without_lean_one_sentence_says_so(tmp_path: Path) -> None:
    built = judge(tmp_path / "nowhere")
    pool = Pool(Sandbox(Unsafe(), find_interpreter(None)))
    try:
        with pytest.raises(ServiceError, match=r"proofs are checked by Lean 4, and '.*nowhere' does not run") as told:
            asyncio.run(built.prepare("minif2f", pool))
    finally:
        pool.close()
    assert "\n" not in str(told.value)
    asyncio.run(built.prepare("minif2f", None))


def test_a_run_without_lean_asks_nothing(tmp_path: Path) -> None:
    rows = [{"id": "own", "header": "import Mathlib", "formal_statement": "theorem own : 1 = 1 := sorry"}]
    data = write_rows(tmp_path / "rows.jsonl", rows)
    said = write_rows(tmp_path / "said.jsonl", [{"id": "own", "completions": [" rfl"]}])
    with pytest.raises(ServiceError, match="proofs are checked by Lean 4"):
        evalharness.evaluate(
            "minif2f",
            model=f"replay:{said}",
            set={"data": {"file": str(data)}, "judging": [_spec("lean-that-is-nowhere")]},
            output=tmp_path / "run",
        )
    assert (tmp_path / "run" / "samples.jsonl").read_text() == ""


def _spec(command: str) -> dict[str, Any]:
    statement = '{{ formal_statement | before("sorry") }}'
    return {"judge": "lean", "header": "{{ header }}", "statement": statement, "command": [command], "memory": 2048}


def test_a_run_counts_proofs(lean: Path, tmp_path: Path) -> None:
    rows = [
        {"id": str(n), "header": "import Mathlib", "formal_statement": f"theorem own{n} : 1 = 1 := sorry"}
        for n in range(4)
    ]
    data = write_rows(tmp_path / "rows.jsonl", rows)
    texts = [" rfl", " by wrong", " by sorry", "by choose"]
    said = write_rows(tmp_path / "said.jsonl", [{"id": str(n), "completions": [text]} for n, text in enumerate(texts)])
    done = evalharness.evaluate(
        "minif2f",
        model=f"replay:{said}",
        set={"data": {"file": str(data)}, "judging": [_spec(str(lean))]},
        sandbox="unsafe",
        allow_unsafe_execution=True,
        output=tmp_path / "run",
    )
    assert done.results is not None
    assert done.results.scores["passes"].value == 0.5
    assert done.results.verdicts == {"lean": {"pass": 2, "fail": 1, "refused": 1}}


# --------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("proof", "word"),
    [
        ("by\n  norm_num [mul_comm]", None),
        ("by sorry", "sorry"),
        ("by exact (sorry)", "sorry"),
        ("by trivial\naxiom cheat : False", "axiom"),
        ("by native_decide", "native_decide"),
        ("by simp [List.prefix_refl]", None),
        ("by exact foo.sorry'", None),
        ("by -- sorry, this is hard\n  simp", None),
        ("by /- an /- inner -/ sorry -/ simp", None),
        ("by simp /- never closed: sorry", "sorry"),
        ('by exact f "--" sorry', "sorry"),
        ("by exact «--» sorry", "sorry"),
        ('by exact f "a" -- sorry', "sorry"),
        ("by trivial\n#eval 1", "#eval"),
        ('by trivial\nmacro "x" : tactic => `(tactic| rfl)', "macro"),
        ("by run_tac pure ()", "run_tac"),
        ("set_option debug.skipKernelTC true in\nby rfl", "skipKernelTC"),
        ("by set_option maxHeartbeats 400000 in nlinarith", None),
    ],
)
def test_what_a_proof_may_not_say(proof: str, word: str | None) -> None:
    assert forbidden(proof) == word


def test_comments_names_and_axioms() -> None:
    assert without_comments("a -- b\n/- c /- d -/ -/e").split() == ["a", "e"]
    assert name_of("def f := 1\ntheorem first.one' {x : ℕ} : x = x := by") == "first.one'"
    assert name_of("lemma l: True :=") == "l"
    assert name_of("example : True :=") is None
    printed = (
        "'a' depends on axioms: [x]\n'b' does not depend on any axioms\n'a' depends on axioms: [propext,\n Quot.sound]"
    )
    assert axioms_of("a", printed) == frozenset({"propext", "Quot.sound"})
    assert axioms_of("b", printed) == frozenset()
    assert axioms_of("c", printed) is None


@pytest.mark.parametrize(
    ("statement", "fault"), [("example : True :=", "names no theorem"), ("theorem a : True", "must end")]
)
def test_a_statement_must_be_one_that_a_proof_can_follow(statement: str, fault: str) -> None:
    sample = replace(bench(None, {}).sample, row={**ROW, "statement": statement})
    ((option, sentence),) = judge("lean").faults(sample, "")
    assert option == "statement"
    assert fault in sentence
    with pytest.raises(DataError, match="statement"):
        build_judges(["lean"], "own.yaml: judging")
