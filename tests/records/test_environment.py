"""What a record says of the machine, and what it must never say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from evalharness.records.environment import _git, environment, masked, without_secrets


def test_the_facts_are_plain_json() -> None:
    facts = environment(["evalharness", "run"])
    assert json.loads(json.dumps(facts)) == facts
    assert facts["command"] == ["evalharness", "run"]
    assert facts["versions"]["pydantic"].count(".") >= 1
    assert facts["cpu"]
    assert facts["threads"] >= 1


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from evalharness.records.environment import environment; environment([]);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'datasets', 'scipy', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--api-key", "abc", "--limit", "3"], ["--api-key", "***", "--limit", "3"]),
        (["--api-key=abc"], ["--api-key=***"]),
        (["--HF-TOKEN", "abc"], ["--HF-TOKEN", "***"]),
        (["--password", "abc"], ["--password", "***"]),
        (["--set", "model.api_key=abc"], ["--set", "model.api_key=***"]),
        (["--set", "decode.stop=sk-abcdefghijkl"], ["--set", "decode.stop=***"]),
        (["hf_abcdefghijklmn"], ["***"]),
        (["https://me:word@host/v1"], ["https://***@host/v1"]),
        (["Authorization: Bearer abc.def"], ["Authorization: ***"]),
        (["--model_args", "a=x,api_key=SECRET,b=y"], ["--model_args", "a=x,api_key=***,b=y"]),
        (["Authorization: Basic abcdef=="], ["Authorization: ***"]),
        (["github_pat_abcdefghijkl", "AKIAABCDEFGHIJKLMNOP"], ["***", "***"]),
        (["--tokenizer", "gpt2", "--batch-tokens", "512"], ["--tokenizer", "gpt2", "--batch-tokens", "512"]),
        (["--model", "smollm2", "task-1", "--set", "decode.max_tokens=4"],
         ["--model", "smollm2", "task-1", "--set", "decode.max_tokens=4"]),
        (["https://host/v1", "hf_x"], ["https://host/v1", "hf_x"]),
    ],
)  # fmt: skip
def test_secrets_of_a_command_line_are_masked(arguments: list[str], shown: list[str]) -> None:
    assert masked(arguments) == shown


def test_secrets_in_what_a_record_keeps_are_masked() -> None:
    kept = {"options": {"set": {"api_key": "abc", "decode": {"max_tokens": 4}}, "model": ["https://me:word@host"]}}
    assert without_secrets(kept) == {
        "options": {"set": {"api_key": "***", "decode": {"max_tokens": 4}}, "model": ["https://***@host"]}
    }


def test_values_of_the_environment_are_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-secret-of-mine")
    assert "a-secret-of-mine" not in json.dumps(environment([]))


def commit(folder: Path) -> None:
    me = ["-c", "user.name=n", "-c", "user.email=e@x"]
    for arguments in (["init", "-q"], ["add", "."], [*me, "commit", "-q", "-m", "m"]):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True)


def test_git_of_our_checkout_and_of_nobody_elses(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    (ours / "evalharness").mkdir(parents=True)
    (ours / "evalharness" / "types.py").write_text("")
    commit(ours)
    facts = _git(ours / "evalharness")
    assert facts is not None
    assert len(facts["commit"]) == 40
    assert facts["dirty"] is False
    (ours / "evalharness" / "types.py").write_text("changed")
    assert (_git(ours / "evalharness") or {})["dirty"] is True

    installed = theirs / "venv" / "evalharness"
    installed.mkdir(parents=True)
    (theirs / "file").write_text("")
    commit(theirs)
    assert _git(installed) is None
    assert _git(tmp_path) is None
