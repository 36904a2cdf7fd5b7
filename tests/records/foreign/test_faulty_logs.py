"""Logs with values of any other shape: every one is imported or refused in a sentence, and what is imported exports."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.command import said
from records.foreign.logs import CHOICE_TASK, CHOICES, answered, line, write_inspect_log, write_lm_eval_log

from evalharness.records.folder import find_runs

JUNK: tuple[Any, ...] = (None, 0, -1, 1.5, "", "x", [], {}, [1], {"a": 1}, True, float("nan"), "é\udc00", [[]], [None])
GENERATION = line(0, [("Two?", {"until": ["\n"], "max_gen_toks": 8})], ["4"], {"exact_match": 1.0}, filter="strict")
PAGE = line(0, [("a b",)], ["-6.0"], {"word_perplexity": [-6.0, 2], "bits_per_byte": [-6.0, 3]})
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "multiple_choice": (CHOICES, CHOICE_TASK),
    "generate_until": ([GENERATION], {"output_type": "generate_until"}),
    "loglikelihood_rolling": ([PAGE], {"output_type": "loglikelihood_rolling"}),
}


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*above, key)
        yield from places(item, (*above, key))


def damaged(value: Any, random: random.Random) -> Any:
    """A copy with one value taken out or put in place of another."""
    value = copy.deepcopy(value)
    *way, last = random.choice(list(places(value)))
    holder = value
    for key in way:
        holder = holder[key]
    if random.random() < 0.2:
        del holder[last]
    else:
        holder[last] = random.choice(JUNK)
    return value


def check(to: Path, *command: object) -> None:
    ended = said("import", *command, "--to", to)
    assert ended.code in (0, 64, 65), ended.err
    for run in find_runs(to):
        assert said("export", run.path, "--lm-eval", to / "out").code in (0, 74)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("kind", KINDS)
def test_logs_of_lm_eval(kind: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALHARNESS_DATA", raising=False)
    lines, config = KINDS[kind]
    drawn, name = random.Random(seed), "arc_easy" if seed % 3 else "own"
    log = write_lm_eval_log(tmp_path / "log", {name: lines}, configs={name: config})
    if seed % 2:
        path = next(log.rglob("results_*.json"))
        path.write_text(json.dumps(damaged(json.loads(path.read_text()), drawn)))
    else:
        path = next(log.rglob("samples_*.jsonl"))
        path.write_text("".join(json.dumps(damaged(each, drawn)) + "\n" for each in lines))
    check(tmp_path / "runs", "lm-eval", log)


@pytest.mark.parametrize("seed", range(60))
def test_logs_of_inspect(seed: int, tmp_path: Path) -> None:
    reduced = [{"scorer": "match", "reducer": "mean", "samples": [{"sample_id": "a", "value": 1.0}]}]
    samples = [answered("a", "Paris", "C"), answered("a", "Rome", "I", epoch=2), answered("b", "Oslo", {"q": 1})]
    log = write_inspect_log(tmp_path / "log.json", samples, reductions=reduced)
    log.write_text(json.dumps(damaged(json.loads(log.read_text()), random.Random(seed))))
    check(tmp_path / "runs", "inspect", log)
