"""`--perturb`: the task as it is and each variant beside it, with hashes that say which is which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from e2e.fake import Fake
from runs_for_tests import write_run

import evalharness
from evalharness.comparison import compare_formats
from evalharness.comparison.compare import compare
from evalharness.comparison.pairing import paired
from evalharness.comparison.sources import load
from evalharness.errors import NotComparableError, UsageError
from evalharness.records.folder import Run
from evalharness.records.run import protocol_of
from evalharness.records.scores import Scores, scores_of_run
from evalharness.run.options import RunOptions
from evalharness.run.plan import Cell, plan
from evalharness.run.rescore import rescore
from evalharness.run.runner import run
from evalharness.run.suites import averages
from evalharness.run.variants import perturbation
from evalharness.tasks.protocol_hash import protocol_hash
from evalharness.tasks.task import load_task


def cells(*perturb: str, **options: Any) -> list[Cell]:
    return plan(RunOptions(task=("arc_easy",), perturb=perturb, **options))


def prompts(cell: Cell) -> dict[str, list[str]]:
    return {sample.id: cell.task.renderer.questions(sample) for sample in cell.samples}


def test_the_plain_cell_is_as_it_was_and_the_variants_stand_beside_it() -> None:
    (alone,) = cells()
    plain, typos, shouted = cells("typos:rate=0.5,seed=3", "case:to=upper")
    assert (plain.hashes, plain.options, prompts(plain)) == (alone.hashes, alone.options, prompts(alone))
    assert "unperturbed" not in plain.hashes
    assert len({cell.hashes["protocol"] for cell in (plain, typos, shouted)}) == 3
    for variant in (typos, shouted):
        assert variant.hashes["unperturbed"] == plain.hashes["protocol"]
        assert variant.hashes["content"] == plain.hashes["content"]
        assert variant.hashes["demonstrations"] == plain.hashes["demonstrations"]
        assert [sample.id for sample in variant.samples] == [sample.id for sample in plain.samples]
        assert prompts(variant) != prompts(plain)


def test_limit_seed_and_order_never_change_a_perturbation() -> None:
    _, whole = cells("typos:rate=0.5")
    _, few = cells("typos:rate=0.5", limit=5)
    _, drawn = cells("case", "typos:rate=0.5", sample=7, seed=9)[::2]
    for part in (few, drawn):
        assert prompts(part).items() <= prompts(whole).items()
    assert prompts(cells("typos:rate=0.5,seed=1")[1]) != prompts(whole)


def test_the_options_of_a_variant_make_it_again() -> None:
    for cell in cells("typos:rate=0.5", "option_order", limit=4):
        (again,) = plan(cell.options)
        assert (again.hashes, prompts(again)) == (cell.hashes, prompts(cell))


def test_options_count_in_the_hash() -> None:
    hashes = {
        protocol_hash(load_task("arc_easy", changes={"perturb": [entry]}))
        for entry in (
            "typos",
            {"perturbation": "typos", "rate": 0.2},
            {"perturbation": "typos", "seed": 1},
            {"perturbation": "typos", "demonstrations": True},
            "spacing",
        )
    }
    other = {"perturb": ["wording"], "prompt": {"wordings": {"complete": "{{ question }} And now?"}}}
    for changes in ({"perturb": ["wording"]}, other):
        hashes.add(protocol_hash(load_task("arc_easy", changes=changes)))
    assert len(hashes) == 7
    assert protocol_hash(load_task("arc_easy")) not in hashes


def test_specs() -> None:
    assert perturbation("typos") == "typos"
    entry = {"perturbation": "typos", "rate": 0.2, "demonstrations": True}
    assert perturbation("typos:rate=0.2,demonstrations=true") == entry
    for spec, sentence in [
        ("typo", "unknown perturbation 'typo'; did you mean 'typos'"),
        ("typos:rate", "write a key and a value"),
        ("typos:rat=1", "unknown key; did you mean 'rate'"),
        ("wording:around=lettered_choices", "shows options, and this task has none"),
    ]:
        with pytest.raises(UsageError, match=sentence):
            cells(spec)


# --------------------------------------------------------------------------- runs


@pytest.fixture
def runs(here: Path) -> list[Run]:
    options = RunOptions(task=("arc_easy",), perturb=("typos:rate=0.5", "option_order"), limit=12)
    return run(options, backends=[Fake()])


def test_variants_run_and_are_paired_with_the_plain_run(runs: list[Run]) -> None:
    plain, typos, order = runs
    assert [protocol_of(each.record) for each in runs] == [
        "default",
        "default (perturb=typos (rate=0.5))",
        "default (perturb=option_order)",
    ]
    assert len({each.path for each in runs}) == 3
    assert all(line["order"] and line["choices"][line["target"]] for line in order.lines())
    found = compare([scores_of_run(each) for each in runs])
    assert [comparison.name for comparison in found] == ["arc_easy, typos (rate=0.5)", "arc_easy, option_order"]
    assert all(comparison.pair.baseline.place == str(plain.path) for comparison in found)
    assert found[0].pair.notes[0] == "another prompt: protocol default here, protocol default, typos (rate=0.5) there"
    assert found[1].answers_changed is not None
    assert (found[1].answers_changed.of, found[1].difference.value) == (12, 0.0)
    text = "\n".join(compare_formats.text(found))
    assert "arc_easy, option_order: every one of the 12 scores is equal." in text
    assert "answers: 0 of 12 are others than the baseline's" in text
    assert compare_formats.as_json(found)[0]["variant"] == "typos (rate=0.5)"
    assert typos.record.hashes["unperturbed"] == plain.record.hashes["protocol"]


def test_a_gate_does_not_take_a_variant_for_the_task_itself(runs: list[Run]) -> None:
    plain, typos, _ = (scores_of_run(each) for each in runs)
    with pytest.raises(NotComparableError, match="the hash of the protocol"):
        paired(plain, typos)
    assert paired(plain, typos, across="variants").obstacles == ()


def test_a_variant_is_scored_again_as_what_it_is(runs: list[Run]) -> None:
    again = rescore(runs[2])
    assert again.changes == ()
    assert again.run.record.hashes["protocol"] == runs[2].record.hashes["protocol"]
    assert [line["order"] for line in again.run.lines()] == [line["order"] for line in runs[2].lines()]


def test_a_variant_does_not_count_in_a_suites_average(here: Path) -> None:
    (here / "own").mkdir()
    (here / "own/both.yaml").write_text("suite: both\ndescription: Both.\ntasks: [arc_easy, gsm8k]\n")
    options = RunOptions(task=("both",), perturb=("typos",), limit=3, include=(here / "own",))
    finished = [(each, each.results) for each in run(options, backends=[Fake()])]
    assert len(finished) == 4
    (average,) = averages(options, [(each, results) for each, results in finished if results is not None])
    assert average.missing == ()
    assert average.value is not None


# --------------------------------------------------------------------------- comparison


def variant(folder: Path, values: list[float], of: str, name: str, **changes: Any) -> Scores:
    made = write_run(folder, values, protocol=name[0] * 64, options={"set": {"perturb": [name]}}, **changes)
    made.write(made.record.model_copy(update={"hashes": {**made.record.hashes, "unperturbed": of}}))
    return scores_of_run(made)


def test_each_model_is_compared_with_itself(tmp_path: Path) -> None:
    plain = [
        scores_of_run(write_run(tmp_path / model, values, model=model))
        for model, values in (("model-a", [1.0, 1.0, 0.0]), ("model-b", [0.0, 0.0, 0.0]))
    ]
    typed = variant(tmp_path / "typed", [1.0, 0.0, 0.0], "0" * 64, "typos", model="model-b")
    found = compare([*plain, typed])
    assert [(each.pair.baseline.model_name, each.pair.candidate.model_name) for each in found] == [
        ("model-a", "model-b"),
        ("model-b", "model-b"),
    ]
    assert found[1].difference.value == pytest.approx(1 / 3)


def test_variants_of_another_protocol_do_not_compare(tmp_path: Path) -> None:
    plain = scores_of_run(write_run(tmp_path / "a", [1.0, 0.0]))
    other = variant(tmp_path / "b", [1.0, 0.0], "9" * 64, "typos")
    with pytest.raises(NotComparableError, match="the hash of the protocol"):
        compare([plain, other])


def test_protocols_that_differ_on_purpose(tmp_path: Path) -> None:
    runs = [scores_of_run(write_run(tmp_path / name, [1.0, 0.0], protocol=name * 64)) for name in "ab"]
    with pytest.raises(NotComparableError):
        compare(runs)
    (found,) = compare(runs, across_protocols=True)
    assert found.pair.obstacles == ()
    assert "another prompt: protocol default here" in found.pair.notes[0]
    other = write_run(tmp_path / "c", [1.0, 0.0], protocol="c" * 64, version=2)
    with pytest.raises(NotComparableError, match="versions are 1 and 2"):
        compare([runs[0], scores_of_run(other)], across_protocols=True)


def test_a_folder_of_variants(here: Path) -> None:
    run(RunOptions(task=("arc_easy",), perturb=("case:to=upper", "typos"), limit=5), backends=[Fake()])
    found = compare(load(Path("runs")))
    assert sorted(each.pair.candidate.variant for each in found) == ["case (to=upper)", "typos"]
    assert not any(each.pair.baseline.variant for each in found)


def test_of_several_runs_the_newest_that_is_no_variant_is_checked(here: Path) -> None:
    run(RunOptions(task=("arc_easy",), perturb=("typos", "case"), limit=3), backends=[Fake()])
    assert [scores.variant for scores in load(Path("runs"), newest=True)] == [""]


def test_evaluate_makes_one_run(here: Path) -> None:
    with pytest.raises(UsageError, match="perturb asks for several runs"):
        evalharness.evaluate("arc_easy", model=Fake(), perturb=["typos"])
    made = evalharness.evaluate("arc_easy", model=Fake(), limit=2, set={"perturb": ["typos"]})
    assert scores_of_run(made).variant == "typos"
