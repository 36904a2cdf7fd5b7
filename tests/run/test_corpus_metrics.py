"""A metric of the corpus from the run to its comparison: results, re-scoring, baselines, pairs of runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from e2e.rows import write_rows

import evalharness
from evalharness.comparison.compare import compare
from evalharness.leaderboards.gaps import gaps
from evalharness.records.baseline import save_baseline, scores_of_baseline
from evalharness.records.folder import Run
from evalharness.records.scores import score_records, scores_of_run
from evalharness.report.reading import facts_of, provisional
from evalharness.run.rescore import rescore
from evalharness.scoring.apply import Scored
from evalharness.scoring.reducers import reduce
from evalharness.types import Score

sacrebleu = pytest.importorskip("sacrebleu.metrics")

LANGUAGES = {"de-en": "de", "fr-en": "fr"}
RIGHT = [
    "the cat sat on the mat", "a dog ran far away", "it is cold here today", "we will see you soon",
    "the train leaves at eight", "my keys are not here", "prices fell last year", "she reads a long book",
]  # fmt: skip
GOOD = [text.replace("the", "a") for text in RIGHT]
BAD = [" ".join(text.split()[::-1]) for text in RIGHT]


def definition(folder: Path) -> None:
    values = {
        "name": "letters",
        "data": {"file": "{subset}.jsonl", "subsets": {"all": list(LANGUAGES)}, "rename": {"{subset}": "text"}},
        "prompt": {"question": "Translate: {{ text.source }}"},
        "target": "{{ text.en }}",
        "metrics": ["bleu", "chrf", "ter"],
    }
    folder.mkdir()
    (folder / "letters.yaml").write_text(yaml.safe_dump(values))
    for subset in LANGUAGES:
        write_rows(
            folder / f"{subset}.jsonl", [{subset: {"source": str(n), "en": text}} for n, text in enumerate(RIGHT)]
        )


def run_of(here: Path, name: str, said: dict[str, list[str]]) -> Run:
    rows = [{"index": n, "subset": subset, "completions": [text]} for subset, texts in said.items()
            for n, text in enumerate(texts)]  # fmt: skip
    write_rows(here / f"{name}.jsonl", rows)
    return evalharness.evaluate("letters", model=f"replay:{name}.jsonl", include=[here / "own"], output=here / name)


@pytest.fixture
def runs(here: Path) -> list[Run]:
    definition(here / "own")
    mixed = {"de-en": GOOD, "fr-en": BAD[:4] + GOOD[4:]}
    return [run_of(here, "bad", {"de-en": BAD, "fr-en": BAD}), run_of(here, "mixed", mixed)]


def bleu(said: list[str]) -> float:
    return float(sacrebleu.BLEU().corpus_score(said, [RIGHT]).score)


def test_the_results_are_those_of_the_corpora_and_their_mean(runs: list[Run]) -> None:
    results = runs[1].results
    assert results is not None
    of_german, of_french = bleu(GOOD), bleu(BAD[:4] + GOOD[4:])
    assert results.subsets["de-en"]["bleu"].value == pytest.approx(of_german)
    assert results.subsets["fr-en"]["bleu"].value == pytest.approx(of_french)
    whole = results.scores["bleu"]
    assert whole.value == pytest.approx((of_german + of_french) / 2)
    assert (whole.aggregate, whole.interval, whole.n) == ("corpus_bleu", "bca", 16)
    assert whole.low is not None
    assert whole.high is not None
    assert whole.low < whole.value < whole.high
    assert str(whole.signature).startswith("case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert results.scores["ter"].higher_is_better is False


def test_scoring_again_changes_nothing(runs: list[Run]) -> None:
    again = rescore(runs[1])
    assert again.changes == ()
    assert again.run.journal.read_bytes() == runs[1].journal.read_bytes()
    assert again.results.scores == runs[1].results.scores  # type: ignore[union-attr]


def test_whoever_reads_the_journal_finds_the_same(runs: list[Run], tmp_path: Path) -> None:
    scores, results = scores_of_run(runs[1]), runs[1].results
    assert results is not None
    told = {name: score.value for name, score in results.scores.items()}
    assert {name: score.value for name, score in score_records(scores).items()} == told
    facts = [facts_of(line) for line in runs[1].lines()]
    assert {name: score.value for name, score in provisional(runs[1].record, results, facts).scores.items()} == told
    save_baseline(scores, tmp_path / "base.json", by="Ida", why="first", date="2026-11-02T00:00:00+00:00")
    back = scores_of_baseline(tmp_path / "base.json")
    assert {name: score.value for name, score in score_records(back).items()} == told


def test_two_runs_compare_by_resampling_both_together(runs: list[Run]) -> None:
    bad, mixed = (scores_of_run(run) for run in runs)
    found = {name: compare([bad, mixed], metric=name)[0] for name in ("bleu", "chrf", "ter")}
    change = found["bleu"].difference
    assert change.baseline == pytest.approx(bleu(BAD))
    assert change.value == pytest.approx((bleu(GOOD) + bleu(BAD[:4] + GOOD[4:])) / 2 - bleu(BAD))
    assert change.test == "approximate randomisation"
    assert change.p_value is not None
    assert change.p_value < 0.01
    assert found["ter"].difference.gain > 0
    assert found["bleu"].verdict == found["ter"].verdict == "better"
    (apart,) = gaps({"bad": bad, "mixed": mixed}, "bleu", mixed.metrics["bleu"])
    assert apart.value == pytest.approx(-change.value)
    assert apart.p_value is not None


def test_repeats_of_a_sample_bring_the_mean_of_their_counts() -> None:
    said = [
        Scored(None, scores={"bleu": Score(value, parts=parts)})
        for value, parts in ((10.0, (4.0, 2.0)), (30.0, (2.0, 2.0)))
    ]
    assert reduce("mean", said) == {"bleu": Score(20.0, parts=(3.0, 2.0))}
