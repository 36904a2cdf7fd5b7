"""What was answered once is not asked again: of the very same model, for the very same request, by any process."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from e2e.command import Process, said
from e2e.fake import Fake
from e2e.fixtures import fake, here, mirror, plugin

from evalharness import evaluate
from evalharness.backends.cache import FILE, CachedBackend, ResponseStore, model_key, request_key
from evalharness.errors import DataError
from evalharness.types import (
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    Origin,
    Prompt,
    Sampling,
    ScoreRequest,
    ToolSchema,
)

__all__ = ["fake", "here", "mirror", "plugin"]
KEPT = ("task", "id", "scores", "completions", "log_likelihoods", "repeats")


def said_of(run: Any) -> list[dict[str, Any]]:
    return [{key: line[key] for key in KEPT} for line in run.lines()]


@pytest.mark.parametrize("task", ["gsm8k", "arc_easy", "wikitext"])
def test_a_second_run_asks_nothing_and_says_the_same(here: Path, task: str) -> None:
    log = here / "log"
    first = evaluate(task, CachedBackend(Fake(log=log), ResponseStore(here / "cache")), limit=9, output=here / "1")
    asked = log.read_text()
    second = evaluate(task, CachedBackend(Fake(log=log), ResponseStore(here / "cache")), limit=9, output=here / "2")
    assert log.read_text() == asked
    assert said_of(second) == said_of(first)
    assert second.results is not None
    assert second.results.spent == {"cache_hits": len(asked.splitlines()), "cache_misses": 0}


def test_another_model_is_asked(here: Path) -> None:
    log = here / "log"
    for number, name in enumerate(("one", "two")):
        backend = CachedBackend(Fake(log=log, name=name), ResponseStore(here / "cache"))
        evaluate("gsm8k", backend, limit=4, output=here / str(number))
    assert len(log.read_text().splitlines()) == 8


ORIGIN = Origin(task="t", sample_id="1", index=1)


def generating(**changes: Any) -> GenerateRequest:
    prompt = Prompt(messages=(), text="a", ids=(1, 2))
    sampling = Sampling(max_tokens=5, **changes)
    return GenerateRequest(origin=ORIGIN, prompt=prompt, sampling=sampling)


def test_keys_tell_requests_apart_that_may_be_answered_differently() -> None:
    model = model_key(Fake())
    base = generating(temperature=1.0, seed=1)
    others = [
        generating(temperature=1.0, seed=2),
        generating(temperature=0.5, seed=1),
        generating(temperature=1.0, seed=1, stop=("x",)),
        replace(base, n=2),
        replace(base, prompt=Prompt(messages=(), text="a", ids=(1, 3))),
        ScoreRequest(origin=ORIGIN, context=base.prompt, continuation="b", ids=(1, 2), start=1),
        ScoreRequest(origin=ORIGIN, context=base.prompt, continuation="b", ids=(1, 2), start=2),
    ]
    asked = Prompt(messages=(), text="a")  # a server that takes messages is told of tools beside them
    tools = (ToolSchema(name="f", description="", parameters={}), ToolSchema(name="g", description="", parameters={}))
    others += [replace(base, prompt=replace(asked, tools=tools[:number])) for number in range(3)]
    keys = {request_key(model, request) for request in [base, *others]}
    assert len(keys) == len(others) + 1
    assert request_key(model, base) == request_key(model, replace(base, origin=replace(ORIGIN, sample_id="2")))
    assert request_key(model, generating(seed=1)) == request_key(model, generating(seed=2))  # greedy draws nothing
    assert request_key(model_key(Fake(name="other")), base) != request_key(model, base)


def test_answers_come_back_as_they_were(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path)
    text = Completion(
        text="é\n", ids=(3, 4), finish_reason="stop", stop="\n\n", log_probabilities=(-0.1, float("-inf")),
        likeliest=(((3, -0.1),), ((4, -0.2),)), reasoning="so", usage={"prompt_tokens": 3}, seconds=0.25,
    )  # fmt: skip
    answers = [
        Completions((text, replace(text, text="2"))),
        Likelihood((-0.1, -1e-17), (True, False)),
        Likelihood((), ()),
    ]
    for number, answer in enumerate(answers):
        store.put(bytes([number]), "m", answer)
        assert store.get(bytes([number])) == answer
    assert store.get(b"x") is None


def test_one_weight_changed_in_place_is_another_model(here: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    from backends.test_stack import write_tiny

    folder = write_tiny(tmp_path / "model")

    def run(name: str) -> dict[str, float]:
        command = ("run", "--task", "coin_flip", "--limit", 2, "--shots", 0, "--method", "direct", "--model", folder)
        command += ("--cache", here / "cache", "--output", here / name, "--set", "decode.max_tokens=2", "--quiet")
        said(*command, "--set", "prompt.too_long=cut_left").done()
        return dict(json.loads((here / name / "results.json").read_text())["spent"])

    assert run("1") == {"cache_hits": 0, "cache_misses": 2}
    assert run("2") == {"cache_hits": 2, "cache_misses": 0}
    weights = safetensors.load_file(folder / "model.safetensors")
    name = next(iter(weights))
    weights[name].view(-1)[0] += torch.finfo(weights[name].dtype).eps * 8
    safetensors.save_file(weights, folder / "model.safetensors")
    assert run("3") == {"cache_hits": 0, "cache_misses": 2}


def test_two_processes_write_it_at_once(here: Path, plugin: Path) -> None:
    def begun(name: str) -> Process:
        command = ("run", "--task", "arc_easy", "--model", f"fake:seconds=0.002&log={here / name}.log", "--quiet")
        return Process(here, *command, "--cache", here / "cache", "--output", here / name, path=(plugin,))

    both = [begun("1"), begun("2")]
    for process in both:
        process.wait().done()
    lines = [(here / name / "samples.jsonl").read_text().splitlines() for name in ("1", "2")]
    assert sorted(lines[0]) == sorted(lines[1])
    begun("3").wait().done()
    assert not (here / "3.log").exists()


def test_stats_and_prune(here: Path, fake: None) -> None:
    said("run", "--task", "gsm8k", "--limit", 4, "--model", "fake:", "--cache", "kept", "--quiet").done()
    out = said("cache", "stats", "--dir", "kept").done().out
    assert "4 answers" in out
    assert "fake" in out
    assert "deleted 0 answers" in said("cache", "prune", "--dir", "kept", "--days", 1).done().out
    said("cache", "prune", "--dir", "kept").refused(64, "say what to delete")
    said("cache", "prune", "--dir", "kept", "--model", "fak").refused(64, "did you mean 'fake'")
    assert "deleted 4 answers" in said("cache", "prune", "--dir", "kept", "--all").done().out
    assert "0 answers" in said("cache", "stats", "--dir", "kept").done().out
    said("cache", "stats", "--dir", "nowhere").refused(64, "there is no cache")


def test_cache_may_stand_alone(here: Path, fake: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "xdg"))
    said("run", "--task", "gsm8k", "--limit", 2, "--model", "fake:", "--cache", "--quiet").done()
    assert (here / "xdg" / "evalharness" / FILE).is_file()


def test_a_damaged_cache_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database, " * 100)
    with pytest.raises(DataError, match="no cache, or damaged"):
        ResponseStore(tmp_path)
