"""BIG-Bench Hard: lm-eval has the published demonstrations in its task files, we read them from the published ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from parity import ours
from parity.lm_eval_oracle import Oracle, by_document, scores

from evalharness.tasks.task import load_task
from evalharness.types import Attempt, Reference

PROTOCOLS = {"lm-eval": "bbh_cot_fewshot", "lm-eval-direct": "bbh_fewshot"}
SUBSETS = [str(subset) for subset in load_task("bbh").subsets()]
PLACE = "lukaemon/bbh"
ROWS = tuple(
    {"input": text, "target": target}
    for text, target in (
        ("not True is", "False"),
        (" Who is  third?\nOptions:\n(A) Zoë\n(B) {{ Ada }} ", "(A)"),
        ("", "-3"),
        ("Q: what?\n\nA: that", "yes"),
    )
)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("subset", SUBSETS)
def test_own_rows(subset: str, protocol: str, oracle: Oracle, tmp_path: Path) -> None:
    name = f"{PROTOCOLS[protocol]}_{subset}"
    ours.write_split(tmp_path, f"{PLACE}/{subset}/test", ROWS)
    _write_prompt_file(tmp_path / "extra" / "bbh_cot_prompts" / f"{subset}.txt", oracle.task(*_theirs(subset)))
    theirs = oracle.asked(name, {"test": ROWS}, None)
    assert ours.asked(ours.cell(f"bbh/{subset}", tmp_path, protocol=protocol)) == dict(enumerate(theirs))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_demonstrations(protocol: str, oracle: Oracle, tmp_path: Path) -> None:
    ours.write_split(tmp_path, f"{PLACE}/navigate/test", ROWS)
    theirs = oracle.asked(f"{PROTOCOLS[protocol]}_navigate", {"test": ROWS}, 0)
    assert ours.asked(ours.cell("bbh/navigate", tmp_path, protocol=protocol, shots=0)) == dict(enumerate(theirs))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_real_subset(protocol: str, oracle: Oracle, real_mirror: Path) -> None:
    cell = ours.cell("bbh", real_mirror, protocol=protocol)
    for subset in SUBSETS:
        some = [sample for sample in cell.samples if sample.subset == subset][::25]
        rows = [dict(sample.row) for sample in some]
        theirs = oracle.asked(f"{PROTOCOLS[protocol]}_{subset}", {"test": rows}, None)
        assert [ours.asked_of(cell, sample) for sample in some] == theirs, subset


SAID = (
    "So the answer is (A).",
    "so the answer is (A)",
    "the answer is False. No, the answer is True.",
    "the answer is -3\nor so",
    "the answer is yes.\n\n",
    "The answer is yes.",
    "yes",
    "False",
    "(A)",
    "",
)


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_outputs(protocol: str, said: str, oracle: Oracle) -> None:
    task = oracle.task(f"{PROTOCOLS[protocol]}_navigate", {"test": ROWS}, 0)
    documents = by_document(task)
    theirs = [list(each.values()) for each in scores(task, documents, [[said]] * len(ROWS))]
    scorer = load_task("bbh/navigate", protocol=protocol).scorer
    attempt = Attempt(calls=(), candidates=(said,))
    ours = [scorer.score(attempt, Reference(target=row["target"])).scores for row in ROWS]
    assert [[score.value for score in each.values()] for each in ours] == theirs


def _theirs(subset: str) -> tuple[str, dict[str, Any]]:
    return f"bbh_cot_fewshot_{subset}", {"test": ROWS}


def _write_prompt_file(path: Path, task: Any) -> None:
    """lm-eval's chains of thought in the form of the published file."""
    turns = [
        f"Q: {row['input']}\nA: Let's think step by step.\n{row['target']}"
        for row in task.config.fewshot_config.samples
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("canary\n-----\n" + task.config.description + "\n\n".join(turns), encoding="utf-8")
