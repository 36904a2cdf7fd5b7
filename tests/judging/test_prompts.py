"""The shipped prompts of judges: whole, read by their own parsers, and as they were published."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalharness.errors import DataError
from evalharness.hashing import canonical_json, sha256_text
from evalharness.judging.prompts import judge_prompt
from evalharness.registry import shipped

NAMES = sorted(path.stem for path in (shipped("prompts") / "judges").glob("*.yaml"))
VALUES = {
    "questions": ["Why?", "And then?"], "references": ["So.", "Thus."], "rubric": "Be short.", "low": 1, "high": 5,
    "expectation": False,
}  # fmt: skip

HASHES = {
    "alpaca-eval-2": "e3c24d7e8a5cf6e3",
    "llmbar-vanilla-no-rules": "e9999c0b1a8c209f",
    "llmbar-vanilla": "f6ebc3edebfdc5c0",
    "pair-math-v1-multi-turn": "729d025f63b5bbee",
    "pair-math-v1": "ca3a106554d6bdf4",
    "pair-v2-multi-turn": "4af6447c324ec7a5",
    "pair-v2": "9aaabae578c5254b",
    "rubric": "55dd6282c071bf25",
    "single-math-v1-multi-turn": "44dbfa796eaab963",
    "single-math-v1": "174c7b23d744b62d",
    "single-v1-multi-turn": "f86dca6f06c33aa8",
    "single-v1": "b857d511548cba39",
}
"""Of each prompt's system turn and question: a prompt that changes is another one, under another name."""


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_shows_what_it_is_given_and_says_where_it_comes_from(name: str) -> None:
    prompt = judge_prompt(name)
    sides = ("first", "second") if prompt.compares else ("answers",)
    said = {side: [f"{side} said", f"{side} said more"] for side in sides}
    text = "\n".join(message.content for message in prompt.messages(said, VALUES))
    assert all(texts[-1 if "multi" in name or name == "rubric" else 0] in text for texts in said.values())
    assert ("So." in text or "Thus." in text) == ("math" in name or name == "rubric")
    assert prompt.license
    assert prompt.url is None or prompt.url.startswith("https://github.com/")
    assert "{{" not in text


@pytest.mark.parametrize("name", [name for name in NAMES if judge_prompt(name).compares])
def test_its_own_spellings_are_read_and_its_own_text_says_nothing(name: str) -> None:
    prompt = judge_prompt(name)
    parser = prompt.parser()
    for side, spellings in prompt.labels.items():
        assert [parser.parse(spelling).value for spelling in spellings] == [side] * len(spellings)
    assert prompt.parser("only").parse(" ".join(spellings[0] for spellings in prompt.labels.values())).value is None


def test_an_unknown_prompt_or_a_broken_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown prompt of a judge 'pair-v3'; did you mean 'pair-v2'"):
        judge_prompt("pair-v3")
    own = tmp_path / "own.yaml"
    with pytest.raises(DataError, match="cannot be read as YAML"):
        judge_prompt(str(own))
    own.write_text("source: own\nlicense: none\nprompt: Well?\n")
    with pytest.raises(DataError, match="say what is asked for: give rating or labels"):
        judge_prompt(str(own))
    own.write_text(
        "source: own\nlicense: none\nprompt: '{{ first[0] }} or {{ second[0] }}?'\nlabels: {first: [a], second: [b]}\n"
    )
    assert judge_prompt(str(own)).compares


def test_a_prompt_that_shows_a_missing_reference_fails_the_sample() -> None:
    with pytest.raises(DataError, match=r"single-math-v1\.yaml: prompt: .*no element 0"):
        judge_prompt("single-math-v1").messages({"answers": ["x"]}, {"questions": ["q"], "references": []})


def test_no_prompt_changes_under_its_name() -> None:
    found = {
        name: sha256_text(canonical_json([judge_prompt(name).system, judge_prompt(name).prompt])) for name in NAMES
    }
    assert {name: value[:16] for name, value in found.items()} == HASHES
