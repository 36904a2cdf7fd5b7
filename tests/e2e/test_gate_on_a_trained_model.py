"""The gate on a model that was trained here and can do its tasks: itself, damaged copies, another prompt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e.command import said

torch = pytest.importorskip("torch", "2.9", reason="the tiny model is trained by Muon, which torch has since 2.9")
pytest.importorskip("transformers", reason="the tiny model is trained by transformers")

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]
TASKS = ("coin_flip", "last_letter_concatenation")
GATE = """gate: tiny
minimum_n: 100
tasks:
  - {task: coin_flip, margin: 0.03}
  - {task: last_letter_concatenation, margin: 0.03}
"""
ASKED = ("--method", "direct", "--shots", 0, "--limit", 200, "--set", "decode.max_tokens=24", "--quiet")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from e2e.tiny_model import train

    return train(tmp_path_factory.mktemp("trained") / "tiny")


@pytest.fixture
def baseline(here: Path, tiny: Path) -> Path:
    (here / "tiny.yaml").write_text(GATE)
    for task in TASKS:
        said("run", "--task", task, *ASKED, "--model", tiny, "--output", here / "runs" / task).done()
    said("baseline", "save", "runs", "--to", "kept").done()
    return here / "kept"


def damaged(tiny: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny, folder)
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def noise(strength: float) -> Callable[[dict[str, Any]], None]:
    """On the output of one feed-forward layer, as a multiple of the weights' deviation."""

    def change(weights: dict[str, Any]) -> None:
        weight = weights["model.layers.1.mlp.down_proj.weight"]
        weight += strength * weight.std() * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))

    return change


def two_bits(weights: dict[str, Any]) -> None:
    for name, weight in weights.items():
        if ".layers." in name and weight.ndim == 2:
            scale = weight.abs().amax(dim=1, keepdim=True)
            weights[name] = (weight / scale).round() * scale


def test_verdicts(here: Path, tiny: Path, baseline: Path) -> None:
    check = ("check", "--gate", "tiny.yaml", "--baseline", baseline, "--quiet")
    results = [json.loads((here / "runs" / task / "results.json").read_text()) for task in TASKS]
    scores = [record["scores"]["exact_match"]["value"] for record in results]
    assert min(scores) >= 0.8, scores

    itself = said(*check, "--model", tiny, "--output", "itself", "--json").done()
    for task in json.loads(itself.out)["tasks"]:
        assert (task["verdict"], task["fixed"], task["broken"]) == ("ok", 0, 0)

    little = damaged(tiny, here / "little", noise(3))  # about six points of one task, which 200 samples hardly tell
    assert said(*check, "--model", little, "--output", "runs-little", "--strict").code in (1, 2)

    for name, change in (("noise", noise(12)), ("two_bits", two_bits)):
        folder = damaged(tiny, here / name, change)
        ended = said(*check, "--model", folder, "--output", f"runs-{name}", "--junit", "junit.xml")
        assert ended.code == 1, ended.out
        assert "<failure" in (here / "junit.xml").read_text()

    for task in TASKS:
        other = ("--shots", 1, "--model", tiny, "--output", here / "other" / task)
        said("run", "--task", task, *ASKED, *other).done()  # the later --shots counts
    assert said(*check, "--candidate", "other").code == 3
