"""What was said elsewhere is scored here: gold answers are right, shuffled ones are not, and a run replays itself."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from e2e.command import environment
from e2e.fake import Fake
from e2e.rows import gsm8k, write_rows

import evalharness
from evalharness.data.demo import DEMONSTRATIONS, FOLDER
from evalharness.data.generators import coin_flip, last_letters
from evalharness.records.folder import Run


def demo_rows() -> list[dict[str, Any]]:
    """The evaluated rows of the bundled sample."""
    lines = (FOLDER / "gsm8k_demo.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines][DEMONSTRATIONS:]


def reasoned(rows: Sequence[Any]) -> list[str]:
    """Gold answers of the symbolic tasks, in the words of Wei et al. 2022."""
    return [f"{row['rationale']} So the answer is {row['answer']}." for row in rows]


def gold(task: str, split: str) -> list[str]:
    """What a perfect model would say, sample by sample."""
    match task:
        case "gsm8k":
            return [row["answer"] for row in gsm8k(60)]
        case "gsm8k_demo":
            return [row["answer"] for row in demo_rows()]
        case "coin_flip":
            return reasoned(coin_flip.generate(split))
    return reasoned(last_letters.generate(split))


CASES = [
    ("gsm8k", "default", "test"),
    ("gsm8k", "lm-eval", "test"),
    ("gsm8k_demo", "default", "test"),
    ("gsm8k_demo", "lm-eval", "test"),
    ("coin_flip", "default", "test"),
    ("coin_flip", "four_people", "test_4"),
    ("last_letter_concatenation", "default", "test"),
    ("last_letter_concatenation", "four_words", "test_4"),
]


def replayed(task: str, protocol: str, completions: Sequence[str], folder: Path, empty_mirror: bool) -> Run:
    file = write_rows(
        folder / "answers.jsonl",
        [{"task": task, "index": index, "completions": [text]} for index, text in enumerate(completions)],
    )
    options: dict[str, Any] = {"protocol": protocol, "output": folder / "run"}
    if (task, protocol) == ("gsm8k", "lm-eval"):
        options["shots"] = 0  # lm-eval's sampler wants the whole pool, of which our mirror has 20 rows
    if empty_mirror:
        (folder / "empty").mkdir()
        options |= {"data_dir": folder / "empty", "allow_demo": True}
    return evalharness.evaluate(task.removesuffix("_demo"), model=f"replay:{file}", **options)


@pytest.mark.parametrize(("task", "protocol", "split"), CASES)
def test_gold_answers_score_one_by_every_metric(task: str, protocol: str, split: str, tmp_path: Path) -> None:
    answers = gold(task, split)
    run = replayed(task, protocol, answers, tmp_path, empty_mirror=task == "gsm8k_demo")
    assert run.results is not None
    assert run.record.task == task
    assert run.results.samples == run.results.of == len(answers) if task != "gsm8k" else 60
    assert {label: score.value for label, score in run.results.scores.items()} == dict.fromkeys(run.results.scores, 1.0)
    assert set(run.results.counts.values()) == {0}


@pytest.mark.parametrize(("task", "protocol", "split"), CASES)
def test_shuffled_gold_answers_score_near_chance(task: str, protocol: str, split: str, tmp_path: Path) -> None:
    """A shuffle is right where two equal answers meet: with share p_v of each answer v, sum of p_v^2 on the mean."""
    answers = gold(task, split)
    endings = Counter(text.split()[-1] for text in answers)
    chance = sum((count / len(answers)) ** 2 for count in endings.values())
    random.Random(0).shuffle(answers)
    run = replayed(task, protocol, answers, tmp_path, empty_mirror=task == "gsm8k_demo")
    assert run.results is not None
    spread = 4 * math.sqrt(chance * (1 - chance) / len(answers))
    for score in run.results.scores.values():
        assert score.value == pytest.approx(chance, abs=spread)


def test_gold_choices_score_one_and_shuffled_ones_near_chance(tmp_path: Path) -> None:
    def scored(best: Sequence[int]) -> float:
        lines = [
            {"index": n, "log_likelihoods": [-1.0 if place == right else -9.0 for place in range(4)]}
            for n, right in enumerate(best)
        ]
        file = write_rows(tmp_path / "answers.jsonl", lines)
        run = evalharness.evaluate("arc_easy", model=f"replay:{file}", resume=False)
        assert run.results is not None
        return run.results.scores["acc"].value or 0.0

    assert scored([0] * 60) == 1.0
    draw = random.Random(1)
    assert scored([draw.randrange(4) for _ in range(60)]) == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 60))


@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("gsm8k", {}),
        ("gsm8k", {"protocol": "lm-eval", "shots": 0}),
        ("gsm8k", {"method": "zero_shot_chain_of_thought"}),
        ("gsm8k", {"method": "self_consistency", "set": {"elicitation": {"samples": 5}}}),
        ("gsm8k", {"repeats": 3, "set": {"decode": {"temperature": 0.7}}}),
        ("arc_easy", {}),
        ("lambada_openai", {}),
        ("wikitext", {}),
    ],
)
def test_a_runs_own_journal_is_a_replay_of_it(task: str, options: dict[str, Any], tmp_path: Path) -> None:
    said = evalharness.evaluate(task, model=Fake(), limit=12, output=tmp_path / "said", **options)
    again = evalharness.evaluate(task, model=f"replay:{said.path}", limit=12, output=tmp_path / "again", **options)
    assert said.results is not None
    assert again.results is not None
    assert again.results.scores == said.results.scores
    assert again.results.counts == said.results.counts
    kept = ("id", "index", "completions", "log_likelihoods", "answer", "target", "scores", "flags", "content_hash")
    for before, now in zip(said.lines(), again.lines(), strict=True):
        assert {key: now[key] for key in kept} == {key: before[key] for key in kept}
    assert again.record.hashes["protocol"] == said.record.hashes["protocol"]
    assert again.record.hashes["content"] == said.record.hashes["content"]


def test_a_replay_imports_no_torch(tmp_path: Path) -> None:
    lines = [{"task": "gsm8k", "index": n, "completions": [row["answer"]]} for n, row in enumerate(gsm8k(60))]
    write_rows(tmp_path / "answers.jsonl", lines)
    program = """
import sys
from evalharness.cli.main import main
try:
    main(["run", "--task", "gsm8k", "--model", "replay:answers.jsonl", "--quiet"])
except SystemExit as left:
    assert not left.code, left.code
heavy = {"torch", "transformers", "tokenizers", "datasets", "pandas", "pyarrow"} & sys.modules.keys()
assert not heavy, heavy
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "exact_match  1 [" in ended.stdout
