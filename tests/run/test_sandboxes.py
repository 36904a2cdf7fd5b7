"""One sandbox for a whole run, and only where something is executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from e2e.command import said
from e2e.fake import Fake
from e2e.rows import write_rows

import evalharness
from evalharness.errors import ServiceError, UsageError
from evalharness.run import runner
from evalharness.run.options import RunOptions
from evalharness.run.plan import plan
from evalharness.run.sandboxes import pool_for
from evalharness.sandbox import choose as module
from evalharness.sandbox.sandbox import Sandbox


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the sandbox was asked for."""
    asked: list[dict[str, Any]] = []
    choose = module.choose

    def noting(level: str | None = None, **options: Any) -> Sandbox:
        asked.append({"level": level, **options})
        return choose(level, **options)

    monkeypatch.setattr(module, "choose", noting)
    return asked


def programs(folder: Path, count: int = 3) -> Path:
    """A task of programs, and its rows."""
    write_rows(folder / "plus.jsonl", [{"n": n, "code": f"def plus(x):\n    return x + {n}"} for n in range(count)])
    path = folder / "plus.yaml"
    path.write_text("""
name: plus
data: {file: plus.jsonl}
prompt: {question: "Add {{ n }}."}
target: "{{ code }}"
answer: {parser: code}
judging:
  - {judge: execution, tests: "assert plus(1) == {{ n + 1 }}", calls: "{{ ['plus'] }}", seconds: 1}
metrics: [passes]
""")
    return path


def test_nothing_is_chosen_where_nothing_is_executed(here: Path, chosen: list[Any]) -> None:
    evalharness.evaluate("gsm8k", model=Fake(), limit=2, sandbox="no such level")
    assert chosen == []


def test_one_pool_serves_every_cell_and_model(here: Path, chosen: list[Any]) -> None:
    options = RunOptions(task=(str(programs(here)), "gsm8k"), limit=2, output=here / "out")
    runs = runner.run(options, backends=[Fake(), Fake(name="other")])
    assert len(chosen) == 1
    assert [run.record.sandbox is not None for run in runs] == [True, False, True, False]
    sandbox = runs[0].record.sandbox
    assert sandbox is not None
    assert sandbox["isolated"] is True
    assert runs[0].record.settings["sandbox"] == {"python": sandbox["python"]}
    assert "sandbox" not in runs[1].record.settings


def test_the_options_reach_it(here: Path, chosen: list[Any]) -> None:
    (cell,) = plan(RunOptions(task=(str(programs(here)),), sandbox="landlock", allow_unsafe_execution=True))
    with pool_for([cell]) as pool:
        assert pool is not None
        assert pool.sandbox.level == "landlock"
    assert chosen == [{"level": "landlock", "allow_unsafe": True, "python": None, "image": None}]


def test_an_unknown_level_and_one_that_does_not_work(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = programs(here)
    with pytest.raises(UsageError, match="--sandbox bwrp: there is no such level; did you mean 'bwrap'"):
        evalharness.evaluate(path, model=Fake(), sandbox="bwrp")
    monkeypatch.setenv("PATH", str(here))
    with pytest.raises(ServiceError, match="bwrap is not installed"):
        evalharness.evaluate(path, model=Fake(), sandbox="bwrap")


def test_without_a_sandbox_no_model_is_loaded(here: Path) -> None:
    """The sentence is of the sandbox, though the model does not exist either."""
    refused = said("run", "--task", programs(here), "--model", "replay:nothing.jsonl", "--sandbox-python", "/no/python")
    sentence = refused.refused(refused.code, "python")
    assert "nothing.jsonl" not in sentence
    assert refused.code in (64, 69)
    assert not (here / "runs").exists()


@pytest.mark.usefixtures("fake")
def test_a_dry_run_executes_nothing_and_needs_no_sandbox(here: Path, chosen: list[Any]) -> None:
    told = said("run", "--task", programs(here), "--model", "fake:", "--dry-run", "--sandbox", "no such level").done()
    assert "3 samples, 3 requests" in told.out
    assert chosen == []


def test_the_isolation_is_not_taken_away_by_a_folder(here: Path) -> None:
    """`--from RUN` asks for the same again, but not for execution without a sandbox."""
    write_rows(here / "said.jsonl", [{"index": n, "completions": [""]} for n in range(3)])
    path = programs(here)
    arguments = ["--model", "replay:said.jsonl", "--output", "first", "--allow-unsafe-execution"]
    first = said("run", "--task", path, *arguments).done()
    assert first.err.startswith("--allow-unsafe-execution: where no isolation works, model-written programs run as you")
    again = said("run", "--from", "first", "--output", "second").done()
    assert "unsafe" not in again.err
    assert evalharness.read_run(here / "first").record.options["allow_unsafe_execution"] is True
    assert "allow_unsafe_execution" not in evalharness.read_run(here / "second").record.options


def test_a_run_without_isolation_says_so(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(here / "said.jsonl", [{"index": n, "completions": [""]} for n in range(3)])
    path = programs(here)
    told = said("run", "--task", path, "--model", "replay:said.jsonl", "--sandbox", "unsafe",
                "--allow-unsafe-execution", "--output", "run").done()  # fmt: skip
    assert "programs ran WITHOUT ISOLATION" in told.out
    record = evalharness.read_run(here / "run").record
    assert record.sandbox is not None
    assert record.sandbox["isolated"] is False
