"""What `evalharness tasks show` tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from parity.ours import write_split

from evalharness.errors import UsageError
from evalharness.tasks.show import shown


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALHARNESS_DATA", raising=False)


def test_without_data_an_example_row_is_shown() -> None:
    told = shown("arc_easy", protocol="lm-eval")
    assert (told["name"], told["protocol"]) == ("arc_easy", "lm-eval")
    assert told["protocols"] == ["default", "lm-eval", "survey"]
    assert told["row"] == "an example row of the task file"
    assert told["prompt"].endswith("make its own food?\nAnswer:")
    assert told["continuations"] == [" moonlight", " sunlight", " soil", " wind"]
    assert told["gold"] == [1]
    json.dumps(told)


def test_data_at_hand_are_shown(tmp_path: Path) -> None:
    place = "openai/gsm8k/main"
    write_split(tmp_path, f"{place}/test", [{"question": "1 + 1?", "answer": "Add. #### 2"}])
    write_split(tmp_path, f"{place}/train", [{"question": f"{n}?", "answer": f"#### {n}"} for n in range(6)])
    told = shown("gsm8k", shots=1, data_dir=tmp_path)
    assert told["prompt"] == "Question: 0?\nAnswer: #### 0\n\nQuestion: 1 + 1?\nAnswer:"
    assert told["target"] == "2"
    assert told["row"].startswith("sample 0 of openai/gsm8k/main/test.jsonl.gz (mirror)")


def test_generated_data_tell_what_a_blind_guess_scores() -> None:
    assert any("baseline" in line for line in shown("coin_flip")["baselines"])


def test_what_judges_would_be_given_is_shown() -> None:
    (judged,) = shown("humaneval")["judging"]
    assert judged["judge"] == "execution"
    assert judged["program"].startswith("from typing import List")
    assert judged["program"].endswith("return longest\n")
    assert judged["tests"].endswith("check(longest_run)")
    assert (judged["calls"], judged["in_box"]) == (["longest_run"], False)
    assert shown("gsm8k")["judging"] == []


@pytest.mark.parametrize("name", ["wikitext", "lambada_openai", "mmlu/astronomy"])
def test_every_kind_of_task_is_shown(name: str) -> None:
    told: dict[str, Any] = shown(name)
    assert told["prompt"]
    assert told["hash"] == shown(name, protocol="default")["hash"]


def test_the_protocols_of_a_task_are_those_of_its_file() -> None:
    assert shown("coin_flip", protocol="four_people")["protocols"] == ["default", "three_people", "four_people"]


def test_an_unknown_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'gsm8k'"):
        shown("gsm8")
