"""Where the error of repeated runs comes from: in results, in comparisons, in reports, in kept baselines."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import fmean, variance
from typing import Any

import pytest
from e2e.command import said
from e2e.fake import Fake
from e2e.fixtures import fake, here, mirror

import evalharness
from evalharness.comparison.compare import compare
from evalharness.records.baseline import save_baseline, scores_of_baseline
from evalharness.records.folder import Run
from evalharness.records.scores import scores_of_run
from evalharness.types import Completion, Completions, GenerateRequest

__all__ = ["fake", "here", "mirror"]
SAMPLES, REPEATS = 40, 4


class Wavering(Fake):
    """Is right on a sample as often as the sample is easy, by the request's own seed."""

    def answer(self, wave: Any) -> None:
        for ticket in wave:
            request = ticket.request
            assert isinstance(request, GenerateRequest)
            easy = (request.origin.index * 7 % SAMPLES) / SAMPLES
            lucky = (request.sampling.seed % 1000) / 1000 < easy
            right = 4 * request.origin.index + 2  # what the rows of the tests ask for
            ticket.resolve(Completions((Completion(text=f"#### {right if lucky else -1}", finish_reason="eos"),)))


def run(name: str, seed: int) -> Run:
    return evalharness.evaluate(
        "gsm8k", Wavering(name=name), limit=SAMPLES, repeats=REPEATS, seed=seed, output=Path(name),
        set={"decode": {"temperature": 1.0}},
    )  # fmt: skip


@pytest.fixture
def two(here: Path) -> tuple[Run, Run]:
    return run("one", 0), run("two", 1)


def values(found: Run) -> list[list[float]]:
    return [[repeat["scores"]["exact_match"] for repeat in line["repeats"]] for line in found.lines()]


def test_results_split_the_variance_and_say_pass_at_k(two: tuple[Run, Run]) -> None:
    for found in two:
        assert found.results is not None
        score, of_samples = found.results.scores["exact_match"], values(found)
        repeats = score.repeats
        assert repeats is not None
        assert (repeats.repeats, len(of_samples)) == (REPEATS, SAMPLES)
        assert repeats.within == pytest.approx(fmean(map(variance, of_samples)))
        assert repeats.between == pytest.approx(variance(map(fmean, of_samples)) - repeats.within / REPEATS)
        assert score.standard_error is not None
        assert repeats.share == pytest.approx(repeats.within / REPEATS / SAMPLES / score.standard_error**2)
        assert repeats.pass_at[0] == pytest.approx(score.value) == pytest.approx(repeats.pass_all[0])
        assert repeats.pass_at[-1] == fmean(any(each) for each in of_samples)
        assert repeats.pass_all[-1] == fmean(all(each) for each in of_samples)
        assert repeats.pass_at == sorted(repeats.pass_at)


def test_a_comparison_says_what_more_repeats_could_do(two: tuple[Run, Run], tmp_path: Path) -> None:
    baseline, candidate = map(scores_of_run, two)
    (found,) = compare([baseline, candidate])
    both = sum(fmean(map(variance, values(each))) / REPEATS for each in two)
    assert found.difference.standard_error is not None
    assert found.detectable is not None
    assert found.share_of_repeats == pytest.approx(min(1, both / SAMPLES / found.difference.standard_error**2))
    assert found.detectable_with_more_repeats == pytest.approx(
        found.detectable * math.sqrt(1 - found.share_of_repeats)  # type: ignore[operator]
    )
    save_baseline(baseline, tmp_path / "kept.json", by="me", why="a test", date="2026-01-31")
    (kept,) = compare([scores_of_baseline(tmp_path / "kept.json"), candidate])
    assert kept.share_of_repeats == pytest.approx(found.share_of_repeats)


def test_it_is_told_where_people_look(two: tuple[Run, Run]) -> None:
    assert "repeats: " in said("compare", "one", "two").done().out
    said("report", "one", "--output", "page.html").done()
    page = Path("page.html").read_text()
    assert "Where the variance comes from" in page
    assert "pass@k" in page


def test_one_repeat_splits_nothing(here: Path) -> None:
    found = evalharness.evaluate("gsm8k", Fake(), limit=5)
    assert found.results is not None
    assert found.results.scores["exact_match"].repeats is None
    assert scores_of_run(found).metrics["exact_match"].within is None
