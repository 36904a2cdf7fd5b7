"""Workers in processes of their own, as a user starts them: the same files whatever their number, whoever is killed."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from e2e.command import Process, Said, lines_in

from evalharness import registry
from evalharness.backends.batching import Waves
from evalharness.run.models import load_backend
from evalharness.run.options import RunOptions
from evalharness.types import GenerateRequest, Origin, Prompt, Sampling

TIMES = ("seconds", "engine", "engine_tree", "spent")
"""Of results.json: what is measured of the machine."""


def files(folder: Path, *, resumed: bool = False) -> tuple[dict[str, Any], list[str]]:
    """results.json without what is measured, and the journal's lines by id.

    Of a `resumed` run the usage is left out too: it counts what sessions asked, twice where they asked twice.
    """
    results = json.loads((folder / "results.json").read_text())
    lines = (folder / "samples.jsonl").read_text().splitlines()
    latest = {json.loads(line)["id"]: line for line in lines}
    left_out = (*TIMES, "run", *(["usage"] if resumed else []))
    return {key: value for key, value in results.items() if key not in left_out}, sorted(latest.values())


def without_usage(found: tuple[dict[str, Any], list[str]]) -> tuple[dict[str, Any], list[str]]:
    return {key: value for key, value in found[0].items() if key != "usage"}, found[1]


def ran(here: Path, plugin: Path, name: str, *arguments: object, model: str = "fake:") -> Said:
    command = ("run", "--task", "arc_easy", "--model", model, "--output", here / name, "--quiet", *arguments)
    return Process(here, *command, path=(plugin,)).wait()


@pytest.fixture
def local(here: Path, plugin: Path) -> tuple[dict[str, Any], list[str]]:
    ran(here, plugin, "local").done()
    return files(here / "local")


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_number_of_workers_changes_no_file(here: Path, plugin: Path, local: Any, workers: int) -> None:
    ran(here, plugin, "process", "--executor", "process", "--workers", workers).done()
    assert files(here / "process") == local


def test_a_request_that_kills_its_worker_is_recorded_alone(here: Path, plugin: Path, local: Any) -> None:
    ran(here, plugin, "p", "--executor", "process", "--workers", 2, model="fake:kill=own-7").done()
    lines = {line["id"]: line for line in map(json.loads, (here / "p" / "samples.jsonl").read_text().splitlines())}
    assert [id for id, line in lines.items() if line.get("error")] == ["own-7"]
    assert "killed the worker" in lines["own-7"]["error"]
    whole = {json.loads(line)["id"]: line for line in local[1]}
    assert {id: line for id, line in lines.items() if id != "own-7"} == {
        id: json.loads(line) for id, line in whole.items() if id != "own-7"
    }
    # The same command asks again for what failed alone; the model has been mended meanwhile.
    ran(here, plugin, "p", "--executor", "process", "--workers", 2).done()
    assert files(here / "p", resumed=True) == without_usage(local)


def test_a_worker_that_is_killed_once_costs_nothing(here: Path, plugin: Path, local: Any) -> None:
    model = f"fake:kill=own-7&once={here / 'killed'}"
    ran(here, plugin, "p", "--executor", "process", "--workers", 2, model=model).done()
    assert (here / "killed").exists()
    assert files(here / "p") == local


def test_a_driver_that_is_killed_goes_on(here: Path, plugin: Path, local: Any) -> None:
    command = (
        "run", "--task", "arc_easy", "--model", "fake:seconds=0.01", "--output", here / "p", "--quiet",
        "--executor", "process", "--workers", 2,
    )  # fmt: skip
    journal = here / "p" / "samples.jsonl"
    ended = Process(here, *command, path=(plugin,)).when(lambda: lines_in(journal) > 5, signal.SIGKILL)
    assert ended.code == -signal.SIGKILL
    Process(here, *command, path=(plugin,)).wait().done()
    assert files(here / "p", resumed=True) == without_usage(local)


def test_interruption_ends_workers_too(here: Path, plugin: Path) -> None:
    command = (
        "run", "--task", "arc_easy", "--model", "fake:seconds=0.05", "--output", here / "p", "--quiet",
        "--executor", "process", "--workers", 2,
    )  # fmt: skip
    journal = here / "p" / "samples.jsonl"
    ended = Process(here, *command, path=(plugin,)).when(lambda: lines_in(journal) > 3, signal.SIGINT)
    assert ended.code == 130
    assert "run the same command again to go on" in ended.err


def test_a_model_that_no_worker_can_load_is_one_sentence(here: Path, plugin: Path) -> None:
    (here / "broken.gguf").write_bytes(b"GGUF")
    ended = ran(here, plugin, "p", "--executor", "process", "--workers", 2, model=str(here / "broken.gguf"))
    ended.refused(65, "broken.gguf")


DEAF = """
from evalharness.types import BackendInfo, Completion, Completions

class Deaf:
    tokenizer = None
    info = BackendInfo(name="deaf", kind="deaf", accepts=frozenset({"ids"}), fingerprint="deaf")

    def answer(self, wave):
        for ticket in wave:
            text = f"{ticket.request.origin.sample_id} " + "x" * 600_000
            ticket.resolve(Completions((Completion(text=text, finish_reason="eos"),)))

    def close(self): ...

COMPONENTS = {"backend": {"deaf": lambda spec: Deaf()}}
"""


def test_long_prompts_and_long_texts_never_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are longer than a pipe holds, and the backend takes nothing in while it answers."""
    (tmp_path / "components.py").write_text(DEAF)
    monkeypatch.setattr(registry, "_TRUSTED", {kind: dict(found) for kind, found in registry._TRUSTED.items()})
    registry.trust(tmp_path)
    options = RunOptions(task=("t",), executor="process", workers=2, include=(tmp_path,), trust_code=True)
    backend = load_backend("deaf:", options)

    def request(number: int) -> GenerateRequest:
        prompt = Prompt(messages=(), text="", ids=tuple(range(number, number + 200_000)))
        origin = Origin(task="t", sample_id=str(number), index=number)
        return GenerateRequest(origin=origin, prompt=prompt, sampling=Sampling(max_tokens=4))

    async def ask() -> list[Any]:
        async with Waves(backend) as waves:
            return await asyncio.gather(*(waves.ask(request(number)) for number in range(12)))

    results = asyncio.run(asyncio.wait_for(ask(), 100))
    backend.close()
    assert [result.completions[0].text.split()[0] for result in results] == [str(number) for number in range(12)]
