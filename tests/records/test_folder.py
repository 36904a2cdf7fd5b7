"""A run's folder on disk. The fixture is a run of format 1, kept for ever: it must always read."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from evalharness.backends.replay import load
from evalharness.errors import DataError, DiskError, UsageError
from evalharness.records.encode import attempts_of, reference_of
from evalharness.records.folder import Run, find_runs, read_run
from evalharness.records.run import ResultsRecord, RunRecord, ScoreRecord, differences, schemas

FORMAT_1 = Path(__file__).parent / "fixtures" / "run_format_1"


def record(id: str = "r", **more: Any) -> RunRecord:
    return read_run(FORMAT_1).record.model_copy(update={"id": id, **more})


# --------------------------------------------------------------------------- format 1


def test_run_json_of_format_1() -> None:
    found = read_run(FORMAT_1).record
    assert (found.format, found.state, found.task, found.protocol) == (1, "finished", "shapes", "default")
    assert (found.samples, found.of) == (3, 5)
    assert found.model["details"]["dtype"] == "float32"
    assert found.hashes.keys() == {"protocol", "demonstrations", "content", "settings"}
    assert found.environment["command"][-1] == "***"
    assert found.data[0]["sha256"] == "5" * 64


def test_results_json_of_format_1() -> None:
    found = read_run(FORMAT_1).results
    assert found is not None
    assert found.scores["acc"] == ScoreRecord(
        value=0.75, low=0.0, high=1.0, standard_error=0.25, interval="t", n=2, higher_is_better=True
    )
    assert found.scores["perplexity"].value == math.inf
    assert found.subsets["solid"]["acc"].value == 0.5
    assert found.counts["cut"] == 1


def test_samples_of_format_1() -> None:
    solid, plane, odd = read_run(FORMAT_1).lines()
    assert [line["id"] for line in (solid, plane, odd)] == ["solid/cube", "plane/0", "solid/1"]
    assert (solid["answer"], solid["scores"], solid["weights"], solid["flags"]) == (
        "12", {"acc": 0.5}, {"acc": 2.0}, ["unparsed"]
    )  # fmt: skip
    assert plane["log_likelihoods"] == [-1.75, -0.75]
    assert plane["greedy"] == [False, True]
    assert odd["log_likelihoods"] == [-2.0, -math.inf]
    assert math.isnan(odd["scores"]["acc"])


def test_attempts_of_format_1() -> None:
    solid, plane, odd = read_run(FORMAT_1).lines()
    first, second = attempts_of(solid)
    assert first.candidates == ("12", "12", "twelve é\u2028")
    assert second.candidates == ("none",)
    assert first.calls[0].completions[0].log_probabilities == (-0.5, -math.inf, -0.125)
    assert first.calls[1].sampling is not None
    assert first.calls[1].sampling.stop == ("\n",)
    assert reference_of(solid).target == ("12", "twelve")
    assert reference_of(plane).units == {"words": 5, "bytes": 31}
    assert attempts_of(plane)[0].likelihoods[0].log_likelihoods == (-1.5, -0.25)
    assert attempts_of(odd)[0].likelihoods[0].greedy == ()
    assert attempts_of(odd)[0].calls[0].prompt.cut == 3


def test_format_1_replays() -> None:
    backend = load(str(FORMAT_1))
    assert backend.info.verbs == {"score", "generate"}
    assert backend.info.details["samples"] == 3


def test_format_1_as_a_table() -> None:
    pytest.importorskip("pandas", reason="tables need pandas")
    table = read_run(FORMAT_1).samples()
    assert list(table["id"]) == ["solid/cube", "plane/0", "solid/1"]
    assert list(table["acc"])[:2] == [0.5, 1.0]
    assert "repeats" not in table


# --------------------------------------------------------------------------- writing and finding


def test_what_is_written_is_read(tmp_path: Path) -> None:
    run = Run(tmp_path / "deep" / "r")
    results = ResultsRecord(
        run="r",
        scores={"a": ScoreRecord(value=math.nan, low=-math.inf, n=0), "b": ScoreRecord(value=None, n=0)},
        samples=0,
        counts={},
        usage={},
        seconds=0.0,
        note="a lone \ud800 survives",
    )
    run.write(record(definition={"stop": ["\ud800", "é"]}))
    assert run.results is None
    run.write(results)
    assert run.record == record(definition={"stop": ["\ud800", "é"]})
    assert repr(run.results) == repr(results)
    assert sorted(path.name for path in run.path.iterdir()) == ["results.json", "run.json"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path)
    run.write(record(state="running"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskError, match=r"run\.json: cannot be written: No space left"):
        run.write(record(state="finished"))
    assert run.record.state == "running"


def test_runs_are_found_oldest_first_and_damaged_ones_passed_over(tmp_path: Path) -> None:
    Run(tmp_path / "a").write(record("a", created="2026-02-01T00:00:00+00:00"))
    Run(tmp_path / "b" / "c").write(record("c", created="2026-01-01T00:00:00+00:00"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    assert [run.record.id for run in find_runs(tmp_path)] == ["c", "a"]
    assert find_runs(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a record of a run"),
        ("{}", "not a record of a run"),
        ('{"format": 2}', "format 2 is newer than this evalharness knows (1)"),
        ('{"format": 1}', "the key 'id' is missing or wrong"),
        ('{"format": 1, "id": 3}', "the key 'id' is missing or wrong"),
    ],
)
def test_a_damaged_run_json_is_one_sentence(tmp_path: Path, text: str, clause: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DataError) as error:
        read_run(tmp_path)
    assert clause in str(error.value)
    assert str(tmp_path / "run.json") in str(error.value)


def test_no_run_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run here"):
        read_run(tmp_path)


def test_keys_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    later = json.loads((FORMAT_1 / "run.json").read_text(encoding="utf-8")) | {"mood": "good"}
    (tmp_path / "run.json").write_text(json.dumps(later))
    assert read_run(tmp_path).record == read_run(FORMAT_1).record


# --------------------------------------------------------------------------- the models


def test_differences_name_the_key_and_both_values() -> None:
    before = {"model": {"dtype": "float32", "name": "m"}, "seed": 0, "changes": {"decode": {"stop": ["a"]}}}
    now = {"model": {"dtype": "bfloat16", "name": "m"}, "seed": 0, "changes": {"decode": {"stop": ["b"]}}, "new": 1}
    assert differences(before, now) == [
        "changes.decode.stop: ['a'] before, ['b'] now",
        "model.dtype: float32 before, bfloat16 now",
        "new: None before, 1 now",
    ]
    assert differences(before, before) == []


def test_schemas_describe_every_file_and_key() -> None:
    found = schemas()
    assert found.keys() == {"run.json", "results.json", "samples.jsonl"}
    for name in ("run.json", "results.json"):
        kept = json.loads((FORMAT_1 / name).read_text(encoding="utf-8"))
        assert kept.keys() <= found[name]["properties"].keys()
        assert set(found[name]["required"]) <= kept.keys()
    assert {"task", "id", "index", "completions", "log_likelihoods", "answer", "target", "scores"} <= set(
        found["samples.jsonl"]["required"]
    )
