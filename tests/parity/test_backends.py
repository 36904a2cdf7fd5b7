"""One task of each kind through every backend: the same log-likelihoods within 1e-3, in fp32, on the embedded model."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.command import environment
from e2e.fixtures import here, mirror

import evalharness
from evalharness.backends.stack import EMBEDDED, available, convert

__all__ = ["here", "mirror"]
pytest.importorskip("transformers", reason="the oracle is an extra")
pytest.importorskip("openai", reason="the client is an extra")
pytest.importorskip("fastapi", reason="the server is an extra")

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not available(), reason="the embedded model is not installed"),
]
TASKS: dict[str, dict[str, Any]] = {
    "arc_easy": {"limit": 6, "shots": 2},
    "wikitext": {"limit": 2},
    "gsm8k": {"limit": 3, "shots": 2, "set": {"decode": {"max_tokens": 24}}},
}
"""A choice, a rolling and a generating task."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted") / "smollm2"
    convert(EMBEDDED, folder)
    return folder


@pytest.fixture(scope="module")
def served(checkpoint: Path) -> Iterator[str]:
    """Our own server, as a user starts it; what stands behind --model."""
    command = [sys.executable, "-m", "evalharness", "serve", "--model", str(checkpoint), "--port", "0"]
    command += ["--numerics", "exact"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(environment())) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+/v1", line)
        assert found, line
        try:
            yield f"openai:{found[0]}#{checkpoint.name}"
        finally:
            process.terminate()
            process.wait(30)


def said(task: str, model: str, folder: Path, **options: Any) -> tuple[list[list[float]], list[str]]:
    """Log-likelihoods by sample, and texts."""
    run = evalharness.evaluate(
        task, model, output=folder / re.sub(r"\W", "-", f"{task}-{model}"), **TASKS[task], **options
    )
    lines = sorted(run.lines(), key=lambda line: line["index"])
    assert not any(line.get("error") for line in lines), lines[0].get("error")
    return [line["log_likelihoods"] for line in lines], [text for line in lines for text in line["completions"]]


@pytest.mark.parametrize("task", TASKS)
def test_every_backend_says_the_same(task: str, checkpoint: Path, served: str, here: Path) -> None:
    ours, texts = said(task, str(checkpoint), here, numerics="exact")
    others = {"hf": said(task, f"hf:{checkpoint}", here, dtype="float32")}
    others["serve"] = said(task, served, here, tokenizer=str(checkpoint))
    if os.environ.get("EVALHARNESS_VLLM_URL"):  # a server that runs the same checkpoint
        others["vllm"] = said(task, f"openai:{os.environ['EVALHARNESS_VLLM_URL']}", here, tokenizer=str(checkpoint))
    for name, (scores, said_texts) in others.items():
        apart = [abs(a - b) for one, other in zip(ours, scores, strict=True) for a, b in zip(one, other, strict=True)]
        print(f"{task}: {name}: largest difference {max(apart, default=0):.2e} nats over {len(apart)} scores, "
              f"{sum(a == b for a, b in zip(texts, said_texts, strict=True))} of {len(texts)} texts equal")  # fmt: skip
        assert max(apart, default=0) < 1e-3, name
        assert said_texts == texts, name
