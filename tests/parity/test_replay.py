"""Every benchmark under every protocol: the right answers score one, and answers of other samples score near chance.

What would be right is replayed as if a model had said it: the right text after the words that announce it, or
log-likelihoods whose highest stands at the right choice.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from e2e.rows import write_rows
from parity import ours
from parity.rows import BENCHMARKS

import evalharness
from evalharness.data.sources import MissingDataError
from evalharness.records.folder import Run
from evalharness.registry import task_files
from evalharness.run.plan import Cell
from evalharness.tasks.files import read_yaml
from evalharness.tasks.task import load_task, protocol_names
from evalharness.types import Reference

FILES = {name: path for name, path in task_files().items() if "suite" not in read_yaml(path)}
WITH_CHECKPOINT = {
    ("alpaca_eval", "default"), ("alpaca_eval", "said"), ("mt_bench", "default"), ("mt_bench", "pairwise"),
    ("real_toxicity_prompts", "classifier"), ("refusals_own", "judge"),
    ("truthfulqa_gen", "judge"), ("xstest", "judge"),
    ("xsum", "para-ref"),
}  # fmt: skip
"""Judged by a checkpoint, or by a judge model, that no machine has by itself."""
WITHOUT_GOLD = {"ifeval", "self_check_halueval"}
"""No text is the right one there: rows say what a text must be like, or the model's are held against a given one."""
WITH_CORPUS = ("open-book", "own-pages")
"""Protocols that look passages up, in data sets that no test writes."""
LESS_OFTEN = {"composite", "designed", "jump", "lm-eval-64", "longer", "products", "simple"}
"""Protocols that differ from another one in their split, their words or their number of programs alone."""


def _param(name: str, protocol: str) -> Any:
    return pytest.param(name, protocol, marks=pytest.mark.long if protocol in LESS_OFTEN else ())


PROTOCOLS = [
    _param(name, protocol)
    for name, path in sorted(FILES.items())
    for protocol in protocol_names(path)
    if (name, protocol) not in WITH_CHECKPOINT and name not in WITHOUT_GOLD
]
OWN = [
    _param(name, protocol)
    for name in sorted(BENCHMARKS)
    for protocol in protocol_names(FILES[name.partition("/")[0]])
    if name not in ("lambada_openai", "wikitext")  # nothing is chosen or written there
    and (name, protocol) not in WITH_CHECKPOINT
    and protocol not in WITH_CORPUS
]
SAMPLES = 400
SAID = "So the answer is {}."
"""What the parsers of chains of thought look for; lm-eval's for gsm8k reads the solution itself."""
PROGRAMS = {
    "designed": "def solution():\n    return {}",
    "pal": "def solution():\n    return {}",
    "pot": "ans = {}",
    "pot-zero-shot": "    return {}",
}
"""By protocol: the program that gives a number."""
OVERLAPS = {"rouge": 0.15, "bleu": 5.0, "chrf": 25.0}
"""By metric: two texts about other things share some words, and no more than this."""
CHANGES: dict[str, dict[str, Any]] = {"pot-zero-shot": {"elicitation": {"setup": "import math"}}}
"""By protocol: its programs would need numpy in the boxes."""


@pytest.mark.parametrize(("name", "protocol"), OWN)
def test_right_answers_on_own_rows(name: str, protocol: str, tmp_path: Path) -> None:
    benchmark = BENCHMARKS[name]
    asked = load_task(name, protocol=protocol).definition.data.split
    for split in {benchmark.split, asked}:
        ours.write_split(tmp_path / "mirror", f"{benchmark.place}/{split}", benchmark.rows)
    cell = ours.cell(name, tmp_path / "mirror", protocol=protocol, shots=0, set=CHANGES.get(protocol, {}))
    run = _replayed(cell, [_right(cell, sample) for sample in cell.samples], tmp_path)
    for score in _proportions(run):
        # One gold of gsm8k's rows ends in a space, which lm-eval's exact match does not forgive.
        assert score == pytest.approx(5 / 6 if (name, protocol) == ("gsm8k", "lm-eval") and score < 1 else 1)


@pytest.fixture
def real_cell(name: str, protocol: str, real_mirror: Path, tmp_path: Path) -> Cell:
    if name == "triviaqa":
        benchmark = BENCHMARKS["triviaqa"]
        ours.link_trivia(real_mirror, tmp_path / "linked" / benchmark.place, benchmark.split)
        real_mirror = tmp_path / "linked"
    changes = CHANGES.get(protocol, {})
    try:
        return ours.cell(name, real_mirror, protocol=protocol, shots=0, sample=SAMPLES, set=changes)
    except MissingDataError:
        pytest.skip(f"no rows of {name} are at hand")


@pytest.mark.parametrize(("name", "protocol"), PROTOCOLS)
def test_right_answers_on_real_rows(real_cell: Cell, tmp_path: Path) -> None:
    run = _replayed(real_cell, [_right(real_cell, sample) for sample in real_cell.samples], tmp_path)
    assert all(score >= real_cell.task.definition.ceiling for score in _proportions(run)), run.results


@pytest.mark.parametrize(("name", "protocol"), PROTOCOLS)
def test_other_answers_on_real_rows(real_cell: Cell, tmp_path: Path) -> None:
    """Choices drawn blindly score their chance; texts of other samples score where two samples share an answer."""
    draw = random.Random(0)
    task, samples = real_cell.task, list(real_cell.samples)
    references = [task.renderer.reference(sample) for sample in samples]
    if references[0].choices and task.method.scores:
        chances = [task.metrics[0].chance(reference) or 0.0 for reference in references]
        # A metric without a chance counts what is greedy: here nothing is.
        blind = [
            _scored(len(reference.choices), (draw.randrange(len(reference.choices)),) if chance else ())
            for reference, chance in zip(references, chances, strict=True)
        ]
    elif task.name == "truthfulqa_gen":
        return  # an answer to another question is as near to true references as to false ones
    elif task.method.needs == "target" and task.metrics[0].tells_right:
        others = [samples[(number + 1) % len(samples)] for number in range(len(samples))]
        blind = [_right(real_cell, other) for other in others]
        chances = [
            float(bool(_targets(reference) & _targets(references[(number + 1) % len(samples)])))
            for number, reference in enumerate(references)
        ]
    else:
        return
    run = _replayed(real_cell, blind, tmp_path)
    chance = fmean(chances)
    spread = 4 * math.sqrt(max(chance * (1 - chance), 0.01) / len(samples))
    assert run.results is not None
    value = next(iter(run.results.scores.values())).value
    if (most := OVERLAPS.get(task.metrics[0].metric)) is not None:
        assert value is not None
        assert value < most
        return
    assert value == pytest.approx(chance, abs=spread + 0.02)


def _targets(reference: Reference) -> set[str]:
    target = reference.target
    texts = target if isinstance(target, tuple) else (target,)
    return {str(text).strip(" .").casefold() for text in texts}


def _right(cell: Cell, sample: Any) -> dict[str, Any]:
    """What a perfect model would say about a sample."""
    task = cell.task
    reference = task.renderer.reference(sample)
    target = reference.target
    if task.method.needs == "target":
        text = str(target[0] if isinstance(target, tuple) else target)
        if (task.definition.answer or {}).get("parser") in ("function_call", "api_call"):
            return {"completions": [str(task.renderer.demonstration(sample, reasoned=False).answer)]}
        if task.method.name == "pairwise_judgement":
            return {"completions": [f"Output ({side})" for side in ("ab" if text == "1" else "ba")]}
        if task.method.loops:
            return {"completions": [f" I know it.\nAction 1: Finish[{text}]"]}
        if task.method.executes:
            return {"completions": [PROGRAMS[task.protocol].format(text.replace(",", ""))]}
        if "math" in task.name:
            return {"completions": [_solved(cell, sample, text)]}
        said = SAID.format(text) if task.method.reasoned and "####" not in text else text
        return {"completions": [said] * task.definition.repeats}
    if task.method.needs == "choices":
        golds = target if isinstance(target, tuple) else (target,)
        return _scored(len(reference.choices), golds)
    return {"log_likelihoods": [0.0], "greedy": [True]}


def _solved(cell: Cell, sample: Any, target: str) -> str:
    """A worked solution as the demonstrations show them; where the whole text is the answer, the answer."""
    task = cell.task
    return str(task.renderer.demonstration(sample, reasoned=True).answer) if task.method.reasoned else target


def _scored(count: int, golds: Sequence[Any]) -> dict[str, Any]:
    return {
        "log_likelihoods": [-1.0 if position in golds else -900.0 for position in range(count)],
        "greedy": [position in golds for position in range(count)],
    }


def _replayed(cell: Cell, said: Sequence[Mapping[str, Any]], folder: Path) -> Run:
    lines = [{"id": sample.id, **answer} for sample, answer in zip(cell.samples, said, strict=True)]
    options = {key: getattr(cell.options, key) for key in ("protocol", "shots", "sample", "data_dir", "set")}
    file = write_rows(folder / "answers.jsonl", lines)
    given = {key: value for key, value in options.items() if value is not None}
    return evalharness.evaluate(cell.options.task[0], model=f"replay:{file}", output=folder / "run", **given)


def _proportions(run: Run) -> list[float]:
    """Scores of the metrics that are one at best; what was retrieved is not the answer's doing."""
    assert run.results is not None
    scores = run.results.scores.items()
    return [score.value or 0.0 for name, score in scores if score.higher_is_better and "retrieval_recall" not in name]
