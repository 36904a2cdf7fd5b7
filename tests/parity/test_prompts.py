"""Our `lm-eval` protocols ask what lm-eval 0.4.13 asks, byte for byte; lm-eval's own code makes the other side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from parity import ours
from parity.lm_eval_oracle import Oracle, Rows
from parity.rows import BENCHMARKS, Benchmark

from evalharness.errors import UsageError
from evalharness.tasks.protocol_hash import synthetic_samples
from evalharness.tasks.task import load_task
from evalharness.types import Sample

PROTOCOL = "lm-eval"
WITH_POOL = sorted(name for name, benchmark in BENCHMARKS.items() if benchmark.pool and benchmark.shows_demonstrations)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our rows of every benchmark, in the layout of a mirror."""
    root = tmp_path_factory.mktemp("mirror")
    for benchmark in BENCHMARKS.values():
        ours.write_split(root, f"{benchmark.place}/{benchmark.split}", benchmark.rows)
        if benchmark.pool_split:
            ours.write_split(root, f"{benchmark.place}/{benchmark.pool_split}", benchmark.pool)
    return root


@pytest.mark.parametrize("name", BENCHMARKS)
def test_default_shots(name: str, oracle: Oracle, mirror: Path) -> None:
    benchmark = BENCHMARKS[name]
    assert (oracle.task(benchmark.lm_eval, benchmark.splits).config.num_fewshot or 0) == benchmark.shots
    assert load_task(name, protocol=PROTOCOL).definition.demonstrations.shots == benchmark.shots


@pytest.mark.parametrize("shots", [None, 0, 1, 5])
@pytest.mark.parametrize("name", BENCHMARKS)
def test_own_rows(name: str, shots: int | None, oracle: Oracle, mirror: Path) -> None:
    benchmark = BENCHMARKS[name]
    if shots and not benchmark.pool:
        with pytest.raises(UsageError, match="shots"):
            load_task(name, protocol=PROTOCOL, shots=shots)
        return
    if shots and not benchmark.shows_demonstrations:
        with pytest.raises(AssertionError, match="Answer is not a string"):
            oracle.asked(benchmark.lm_eval, benchmark.splits, shots)
        return
    theirs = oracle.asked(benchmark.lm_eval, benchmark.splits, shots)
    assert len(theirs) == 6
    assert ours.asked(ours.cell(name, mirror, protocol=PROTOCOL, shots=shots)) == dict(enumerate(theirs))


@pytest.mark.parametrize("name", WITH_POOL)
def test_limit_changes_no_prompt(name: str, mirror: Path) -> None:
    whole = ours.asked(ours.cell(name, mirror, protocol=PROTOCOL, shots=5))
    part = ours.asked(ours.cell(name, mirror, protocol=PROTOCOL, shots=5, limit=2))
    assert part == {index: whole[index] for index in (0, 1)}


@pytest.mark.parametrize("name", WITH_POOL)
def test_subset_of_the_rows_changes_no_prompt(name: str, oracle: Oracle, mirror: Path, tmp_path: Path) -> None:
    """A mirror that carries rows 1, 2 and 5 of 6 asks what lm-eval asks of them in the whole split."""
    benchmark, kept = BENCHMARKS[name], (1, 2, 5)
    rows = [benchmark.rows[index] for index in kept]
    ours.write_split(tmp_path, f"{benchmark.place}/{benchmark.split}", rows, indices=kept, of=6)
    ours.write_split(tmp_path, f"{benchmark.place}/{benchmark.pool_split}", benchmark.pool)
    theirs = oracle.asked(benchmark.lm_eval, benchmark.splits, 5)
    part = ours.asked(ours.cell(name, tmp_path, protocol=PROTOCOL, shots=5))
    assert part == {index: theirs[index] for index in kept}


def test_samples_drawn_in_any_order_keep_their_prompts(mirror: Path) -> None:
    cell = ours.cell("gsm8k", mirror, protocol=PROTOCOL)
    forwards = [[row.id for row in cell.demonstrations(sample)] for sample in cell.samples]
    again = ours.cell("gsm8k", mirror, protocol=PROTOCOL)
    backwards = [[row.id for row in again.demonstrations(sample)] for sample in reversed(again.samples)]
    assert forwards == backwards[::-1]


def test_hellaswag_drops_the_sample_itself_from_its_draw(oracle: Oracle, tmp_path: Path) -> None:
    """Where the pool holds the very row, lm-eval draws one more and drops it."""
    benchmark = BENCHMARKS["hellaswag"]
    pool = (*benchmark.rows, *benchmark.pool[:3])
    theirs = oracle.asked("hellaswag", benchmark.splits | {"train": pool}, 5)
    ours.write_split(tmp_path, f"{benchmark.place}/validation", benchmark.rows)
    ours.write_split(tmp_path, f"{benchmark.place}/train", pool)
    assert ours.asked(ours.cell("hellaswag", tmp_path, protocol=PROTOCOL, shots=5)) == dict(enumerate(theirs))


def test_every_mmlu_subject_is_described_and_grouped_as_lm_eval_does(oracle: Oracle) -> None:
    task = load_task("mmlu", protocol=PROTOCOL)
    subjects = [str(subject) for subject in task.subsets()]
    assert sorted(f"mmlu_{subject}" for subject in subjects) == oracle.names("mmlu_")
    splits = BENCHMARKS["mmlu/astronomy"].splits
    sample = next(iter(synthetic_samples(task)))
    for subject in subjects:
        theirs = oracle.task(f"mmlu_{subject}", splits)
        assert task.renderer.description(replace(sample, subset=subject)) == theirs.config.description
        assert oracle.tags(f"mmlu_{subject}") == {f"mmlu_{task.group_of(subject)}_tasks"}


# --------------------------------------------------------------------------- the mirror's rows

WITH_REAL_ROWS = sorted(set(BENCHMARKS) - {"mmlu/astronomy", "mmlu/professional_law", "wikitext", "lambada_openai"})
REAL_ROWS = 200
"""Original positions compared for a benchmark; a mirror of half the rows has half of them."""


@pytest.mark.parametrize(
    ("name", "shots"),
    [(name, 0) for name in WITH_REAL_ROWS] + [(name, 5) for name in WITH_REAL_ROWS if name in WITH_POOL],
)
def test_real_rows(name: str, shots: int, oracle: Oracle, real_mirror: Path, tmp_path: Path) -> None:
    """lm-eval sees another row where the mirror lacks one, so that its sampler stands where it would."""
    benchmark = BENCHMARKS[name]
    pool = _linked(real_mirror, tmp_path, benchmark)
    cell = ours.cell(name, tmp_path, protocol=PROTOCOL, shots=shots)
    samples = {sample.index: sample for sample in cell.samples if sample.index < REAL_ROWS}
    assert len(samples) >= 10
    filler = next(iter(samples.values()))
    rows = [dict(samples.get(index, filler).row) for index in range(max(samples) + 1)]
    theirs = oracle.asked(benchmark.lm_eval, _splits(benchmark.their(rows), benchmark.their(pool)), shots)
    for index, sample in samples.items():
        assert ours.asked_of(cell, sample) == theirs[index], index


@pytest.mark.parametrize("name", ["wikitext", "lambada_openai"])
def test_real_texts(name: str, oracle: Oracle, real_mirror: Path) -> None:
    cell = ours.cell(name, real_mirror, protocol=PROTOCOL, limit=REAL_ROWS)
    rows = [dict(sample.row) for sample in cell.samples]
    theirs = oracle.asked(BENCHMARKS[name].lm_eval, _splits(rows, rows))
    assert [ours.asked_of(cell, sample) for sample in cell.samples] == theirs


@pytest.mark.parametrize("shots", [0, 5])
def test_every_real_mmlu_subject(shots: int, oracle: Oracle, real_mirror: Path) -> None:
    """Some of each subject's rows, spread over the split."""
    cell = ours.cell("mmlu", real_mirror, protocol=PROTOCOL, shots=shots)
    by_subject: dict[str, list[Sample]] = {}
    for sample in cell.samples:
        by_subject.setdefault(str(sample.subset), []).append(sample)
    assert len(by_subject) == 57
    for subject, samples in by_subject.items():
        some = samples[:: max(1, len(samples) // 5)]
        rows = [dict(sample.row) for sample in some]
        pool = ours.read_split(real_mirror, f"cais/mmlu/{subject}/dev")
        theirs = oracle.asked(f"mmlu_{subject}", {"test": rows, "dev": pool}, shots)
        assert [ours.asked_of(cell, sample) for sample in some] == theirs, subject


def _linked(mirror: Path, root: Path, benchmark: Benchmark) -> Rows:
    """A mirror at `root` with the real rows, and with our pool where the real one has none; the pool's rows."""
    source, target = mirror / benchmark.place, root / benchmark.place
    if source.is_dir():
        target.mkdir(parents=True)
        for path in source.iterdir():
            (target / path.name).symlink_to(path)
    else:
        assert benchmark.task == "triviaqa"
        ours.link_trivia(mirror, target, benchmark.split)
    if benchmark.pool_split is None:
        return ()
    place = f"{benchmark.place}/{benchmark.pool_split}"
    if (source / f"{benchmark.pool_split}.jsonl.gz").exists():
        return ours.read_split(mirror, place)
    ours.write_split(root, place, benchmark.pool)
    return benchmark.pool


def _splits(rows: Rows, pool: Rows) -> dict[str, Rows]:
    return {"train": pool or rows, "validation": rows, "test": rows}
