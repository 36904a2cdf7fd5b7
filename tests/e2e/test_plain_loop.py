"""Models of families that run in the plain loop, evaluated by the command like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from backends import tiny_models
from e2e.command import said

from evalharness.records.folder import find_runs

TASKS = ("--task", "gsm8k", "--task", "arc_easy", "--set", "decode.max_tokens=6", "--shots", "0")


@pytest.fixture(scope="module", params=["t5", "mamba"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.write(request.param, tmp_path_factory.mktemp("models") / request.param)


def run(model: str | Path, *arguments: str) -> Any:
    return said("run", "--model", model, "--limit", "5", "--quiet", *arguments)


def samples(folder: Path) -> dict[tuple[str, str], Any]:
    """By task and id, the lines of the journals below a folder."""
    return {(line["task"], line["id"]): line for found in find_runs(folder) for line in found.lines()}


def test_a_generative_and_a_choice_task_score_as_the_library_does(model: Path, here: Path) -> None:
    done = run(model, *TASKS, "--output", "ours").done()
    assert "gsm8k · " in done.out
    assert "arc_easy · " in done.out
    run(f"hf:{model}", *TASKS, "--output", "theirs").done()
    ours, theirs = samples(here / "ours"), samples(here / "theirs")
    assert len(ours) == 10
    assert ours.keys() == theirs.keys()
    for place, line in ours.items():
        expected = theirs[place]
        assert line["log_likelihoods"] == pytest.approx(expected["log_likelihoods"], abs=1e-3)
        for key in ("completions", "greedy", "answer", "scores", "flags"):
            assert line[key] == expected[key], key
        assert line["completions"] or line["log_likelihoods"]


def test_what_its_model_cannot_do_is_refused_in_a_sentence(model: Path, here: Path) -> None:
    exact = run(model, "--task", "gsm8k", "--numerics", "exact")
    exact.refused(64, "runs in the plain loop", "evalharness models")
    documents = run(model, "--task", "wikitext")
    if model.name == "mamba":
        documents.done()
    else:
        documents.refused(64, "asks how likely whole documents are", "is an encoder-decoder")
        run(f"hf:{model}", "--task", "wikitext").refused(64, "asks how likely whole documents are", "(transformers)")
    assert not documents.err.count("Traceback")
