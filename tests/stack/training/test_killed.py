"""kill -9 at any moment changes nothing: the training that goes on says what one says that nobody killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from stack.training.small_training import PATIENCE, environment
from stack.training.tiny_pretraining import corpus, garbage, lines, log_of, texts, weights

KILLED = 9


def lives(folder: Path, seed: int, *kinds: str) -> dict[str, int]:
    program = Path(__file__).with_name("killed_training.py")
    done = subprocess.run(
        [sys.executable, str(program), str(folder), str(seed), *kinds],
        env={**environment(), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    ends: dict[str, int] = json.loads(done.stdout)
    assert ends["end"] == 0, done.stderr
    return ends


def require_equal(folder: Path, seed: int) -> None:
    whole, killed = folder / "whole", folder / f"killed-{seed}"
    assert log_of(killed) == log_of(whole)
    assert lines(killed / "evaluations.jsonl") == lines(whole / "evaluations.jsonl")
    assert [row["step"] for row in lines(whole / "evaluations.jsonl")] == [10, 20, 30, 40]
    assert weights(killed) == weights(whole)


def test_killed_at_five_moments(tmp_path: Path) -> None:
    """Inside accumulation, a shard, a save, a line of the log, an evaluation, in this order by the seed's numbers."""
    kinds = ("at_a_shard_border", "in_a_save", "in_accumulation", "in_an_evaluation", "in_a_line")
    ends = lives(corpus(tmp_path), 20, *kinds)
    assert list(ends.values()) == [0, *[KILLED] * 5, 0], ends
    require_equal(tmp_path, 20)
    assert [line["step"] for line in log_of(tmp_path / "whole") if "loss" in line] == list(range(1, 41))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(12))
def test_killed_at_many_moments(tmp_path: Path, seed: int) -> None:
    ends = lives(corpus(tmp_path), seed)
    assert list(ends.values()).count(KILLED) >= 3, ends
    require_equal(tmp_path, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_killed_around_a_spike(tmp_path: Path, seed: int) -> None:
    """A training that goes back does so again after a kill, to the same bits."""
    corpus(tmp_path, texts=texts(120), poisoned=garbage(40))
    phases = [{"at": 0, "weights": {"texts": 1}}, {"at": 0.55, "weights": {"poisoned": 1}}]
    phases.append({"at": 0.65, "weights": {"texts": 1}})
    changes = {
        "data": {"mixture": {"schedule": phases}},
        "spikes": {"window": 8, "warmup": 8, "patience": 2, "skip": 3},
    }
    (tmp_path / "changes.json").write_text(json.dumps(changes))
    ends = lives(tmp_path, seed)
    assert list(ends.values()).count(KILLED) >= 3, ends
    require_equal(tmp_path, seed)
    assert "rewind" in [line.get("event") for line in log_of(tmp_path / "whole")]
