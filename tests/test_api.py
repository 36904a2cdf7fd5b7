"""The Python entry points: lazy, with the options of the command line, and any object that answers as a model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from e2e.command import environment
from e2e.fake import Fake
from e2e.fixtures import here, mirror

import evalharness
from evalharness.errors import UsageError
from evalharness.types import Backend

__all__ = ["here", "mirror"]


def test_importing_loads_nothing_heavy() -> None:
    program = """
import sys, evalharness
assert not {"torch", "numpy", "pydantic", "jinja2", "yaml"} & sys.modules.keys()
evalharness.evaluate, evalharness.load_task, evalharness.load_model, evalharness.read_run
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], env=environment(), check=True)


def test_evaluate_takes_any_backend_and_returns_the_run(here: Path) -> None:
    fake = Fake()
    assert isinstance(fake, Backend)
    run = evalharness.evaluate(task="arc_easy", model=fake, limit=3)
    assert run.results is not None
    assert run.results.scores["acc"].n == 3
    assert len(list(run.lines())) == 3
    assert evalharness.read_run(run.path).record == run.record
    assert evalharness.read_run(str(run.path)).record == run.record


def test_evaluate_takes_a_loaded_task_or_a_file(here: Path) -> None:
    task = evalharness.load_task("gsm8k", shots=0, changes={"decode": {"max_tokens": 7}})
    run = evalharness.evaluate(task, model=Fake(), limit=1)
    assert run.record.definition["decode"]["max_tokens"] == 7
    assert evalharness.evaluate(task.path, model=Fake(), limit=1).record.task == "gsm8k"
    with pytest.raises(UsageError, match="shots belongs to the task"):
        evalharness.evaluate(task, model=Fake(), shots=2)


def test_a_run_becomes_a_table(here: Path) -> None:
    pytest.importorskip("pandas")
    frame = evalharness.evaluate("arc_easy", model=Fake(), limit=3).samples()
    assert list(frame["id"]) == ["own-0", "own-1", "own-2"]
    assert frame["acc"].isin([0.0, 1.0]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": -3}, "limit"),
        ({"limt": 3}, "did you mean 'limit'"),
        ({"model": "nothing/here"}, "unknown model 'nothing/here'"),
        ({"protocol": "lm_eval"}, "did you mean 'lm-eval'"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(options: dict[str, object], message: str, here: Path) -> None:
    with pytest.raises(UsageError, match=message):
        evalharness.evaluate("gsm8k", **{"model": Fake(), **options})  # type: ignore[arg-type]


def test_load_model_names_the_replay(here: Path) -> None:
    (here / "said.jsonl").write_text('{"index": 0, "completions": ["1"]}\n')
    assert evalharness.load_model(f"replay:{here / 'said.jsonl'}").info.kind == "replay"
    with pytest.raises(UsageError, match="did you mean 'threads'"):
        evalharness.load_model(f"replay:{here / 'said.jsonl'}", thread=1)
