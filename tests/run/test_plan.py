"""Which cells a request means: samples, subsets, suites, and the hashes that say what compares."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.rows import MMLU, arc_easy, gsm8k, write_mirror

from evalharness.errors import UsageError
from evalharness.run.options import RunOptions
from evalharness.run.plan import Cell, plan, settings_of
from evalharness.tasks.task import load_task

SUBJECTS = tuple(f"mmlu/{subject}" for subject in MMLU)


def cells(*task: str, **options: Any) -> list[Cell]:
    return plan(RunOptions(task=task, **options))


def cell(task: str, **options: Any) -> Cell:
    (only,) = cells(task, **options)
    return only


def ids(found: Cell) -> list[str]:
    return [sample.id for sample in found.samples]


def suite(folder: Path, tasks: list[Any]) -> Path:
    (folder / "own").mkdir()
    (folder / "own/mine.yaml").write_text(yaml.safe_dump({"suite": "mine", "description": "Mine.", "tasks": tasks}))
    return folder / "own"


def test_limit_takes_the_first_and_of_says_how_many_there_are() -> None:
    whole, few = cell("arc_easy"), cell("arc_easy", limit=7)
    assert ids(whole) == [row["id"] for row in arc_easy(60)]
    assert ids(few) == ids(whole)[:7]
    # The task file knows the length of the benchmark, which our mirror does not carry in full.
    assert (few.of, whole.of) == (2376, 2376)


def test_sample_is_drawn_by_the_seed_and_keeps_the_order() -> None:
    whole = ids(cell("arc_easy"))
    drawn = ids(cell("arc_easy", sample=20))
    assert len(set(drawn)) == 20
    assert drawn == [id for id in whole if id in drawn]
    assert drawn == ids(cell("arc_easy", sample=20))
    assert drawn != ids(cell("arc_easy", sample=20, seed=1))
    assert drawn != whole[:20]


def test_limit_and_sample_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="--limit and --sample exclude each other"):
        cells("arc_easy", limit=1, sample=1)


def test_names_and_globs_each_once_in_order() -> None:
    assert [found.name for found in cells("arc_easy", "gsm8k", "arc_e*", limit=1)] == ["arc_easy", "gsm8k"]
    assert [found.name for found in cells("last*", limit=1)] == ["last_letter_concatenation"]


def test_a_suite_says_what_the_user_does_not(here: Path) -> None:
    include = (suite(here, ["arc_easy", {"task": "gsm8k", "limit": 4, "shots": 1}]),)
    arc, math = cells("mine", include=include)
    assert (len(arc.samples), len(math.samples)) == (60, 4)
    assert len(math.demonstrations(math.samples[0])) == 1
    arc, math = cells("mine", include=include, limit=2)
    assert (len(arc.samples), len(math.samples)) == (2, 2)


def test_the_options_of_a_suites_cell_make_that_cell_again(here: Path) -> None:
    include = (suite(here, ["arc_easy", {"task": "coin_flip", "protocol": "four_people", "limit": 4}]),)
    _, flips = cells("mine", include=include)
    (again,) = plan(flips.options)
    assert (again.name, again.task.protocol, again.hashes) == (flips.name, flips.task.protocol, flips.hashes)


@pytest.mark.parametrize("subject", MMLU)
def test_a_subset(subject: str) -> None:
    found = cell(f"mmlu/{subject}", shots=0)
    assert found.name == f"mmlu/{subject}"
    assert ids(found) == [f"{subject}/{n}" for n in range(MMLU[subject])]
    assert found.task.subsets() == [subject]


def test_a_whole_task_of_subsets_draws_its_demonstrations_from_each_subsets_own_pool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evalharness.tasks.task.Task.subsets", lambda task: list(MMLU))
    whole = cell("mmlu")
    assert Counter(sample.subset for sample in whole.samples) == MMLU
    for sample in whole.samples:
        shown = whole.demonstrations(sample)
        assert len(shown) == 5
        assert {row.subset for row in shown} == {sample.subset}


def test_the_content_hash_is_of_the_samples_and_their_columns(here: Path) -> None:
    first = cell("gsm8k", limit=5)
    assert cell("gsm8k", limit=6).hashes["content"] != first.hashes["content"]
    assert cell("gsm8k", limit=5, seed=9).hashes["content"] == first.hashes["content"]
    mirror = write_mirror(here / "other", 5)
    assert cell("gsm8k", data_dir=mirror).hashes == first.hashes
    path = mirror / "openai/gsm8k/main/test.jsonl"
    path.write_text(path.read_text().replace("red", "green", 1))
    changed = cell("gsm8k", data_dir=mirror).hashes
    assert changed["content"] != first.hashes["content"]
    assert changed["protocol"] == first.hashes["protocol"]
    assert changed["demonstrations"] == first.hashes["demonstrations"]


def test_the_demonstration_hash_holds_the_seed_only_where_the_seed_decides() -> None:
    fixed = [cell("gsm8k", limit=1, seed=seed).hashes["demonstrations"] for seed in (0, 1)]
    assert fixed[0] == fixed[1]
    policy = {"demonstrations": {"policy": "random"}}
    drawn = [cell("gsm8k", limit=1, seed=seed, set=policy).hashes["demonstrations"] for seed in (0, 1)]
    assert len({*fixed, *drawn}) == 3
    assert cell("gsm8k", limit=1, shots=3).hashes["demonstrations"] not in fixed


def test_random_demonstrations_do_not_depend_on_which_samples_run() -> None:
    policy = {"demonstrations": {"policy": "random"}}
    whole, few = cell("gsm8k", set=policy), cell("gsm8k", set=policy, sample=10)
    shown = {sample.id: [row.id for row in whole.demonstrations(sample)] for sample in whole.samples}
    assert all([row.id for row in few.demonstrations(sample)] == shown[sample.id] for sample in few.samples)
    assert len({tuple(drawn) for drawn in shown.values()}) > 30


def test_the_demo_stands_in_only_on_request(here: Path) -> None:
    (here / "empty").mkdir()
    demo = cell("gsm8k", data_dir=here / "empty", allow_demo=True)
    assert (demo.name, demo.demo, len(demo.samples), demo.of) == ("gsm8k_demo", True, 15, 15)
    real = cell("gsm8k", allow_demo=True)
    assert (real.name, real.demo) == ("gsm8k", False)
    assert [sample.row for sample in real.samples] == gsm8k(60)


def test_a_loaded_task_is_run_as_it_is() -> None:
    (found,) = plan(RunOptions(task=("gsm8k",), limit=2), [load_task("gsm8k", shots=1)])
    assert len(found.demonstrations(found.samples[0])) == 1


def test_settings_leave_out_what_decides_nothing() -> None:
    model: dict[str, Any] = {
        "kind": "stack", "fingerprint": "f", "tokenizer": "t", "numerics": "fast", "max_length": 8, "name": "x",
        "details": {"threads": 1, "file": "a", "dtype": "float32"},
    }  # fmt: skip
    found = cell("gsm8k", limit=1)
    settings = settings_of(found, model)
    assert settings == settings_of(found, model | {"details": {"threads": 2, "file": "b", "dtype": "float32"}})
    assert settings != settings_of(found, model | {"details": {"threads": 1, "file": "a", "dtype": "bfloat16"}})
    assert settings != settings_of(cell("gsm8k", limit=1, seed=1), model)
    assert settings != settings_of(cell("gsm8k", limit=2), model)
