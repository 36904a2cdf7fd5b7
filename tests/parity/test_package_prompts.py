"""medmcqa, pubmedqa and logiqa in a package's columns ask what lm-eval asks of the same rows in the hub's columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from parity import ours
from parity.benchmark import Row
from parity.lm_eval_oracle import Oracle

from evalharness.tasks.task import load_task

OPTIONS = (
    ("iron", "wood", "wool", "glass"),
    ("Zoë's “café”", "{{ two }}", "B. three", "4"),
    ("a", "it's", "A", "none of   these"),
)
QUESTIONS = ("Which of these is a metal?", "What is {% this %}?", "Line one\nline two")
GOLDS = (0, 2, 3)


def _lettered(texts: tuple[str, ...]) -> str:
    return "\n".join(f"{letter}. {text}" for letter, text in zip("ABCD", texts, strict=True))


def _choices(**columns: tuple[str, ...]) -> list[Row]:
    """Rows in the package's columns."""
    return [
        {
            "question": question,
            "options": _lettered(texts),
            "answer": f"{'ABCD'[gold]}. {texts[gold]}",
            **{name: values[number] for name, values in columns.items()},
        }
        for number, (question, texts, gold) in enumerate(zip(QUESTIONS, OPTIONS, GOLDS, strict=True))
    ]


PASSAGES = ("All oaks are trees.", " Spaces  here ", "Line one\nline two")
CONTEXTS = (["We asked.", "Nobody answered."], ["One “part”."], ["{{ a }}", "b", "Context: c"])
DECISIONS = ("no", "yes", "maybe")

MEDMCQA = [
    {"question": question, **dict(zip(("opa", "opb", "opc", "opd"), texts, strict=True)), "cop": gold}
    for question, texts, gold in zip(QUESTIONS, OPTIONS, GOLDS, strict=True)
]
LOGIQA = [
    {"context": passage, "question": question, "options": list(texts), "label": "abcd"[gold]}
    for passage, question, texts, gold in zip(PASSAGES, QUESTIONS, OPTIONS, GOLDS, strict=True)
]
PUBMEDQA = [
    {"QUESTION": question, "CONTEXTS": contexts, "final_decision": decision}
    for question, contexts, decision in zip(QUESTIONS, CONTEXTS, DECISIONS, strict=True)
]
OF_PUBMEDQA = [
    {
        "question": row["QUESTION"],
        "passage": "".join(f"Context ({number}): {text}\n" for number, text in enumerate(row["CONTEXTS"], 1)),
        "answer": row["final_decision"],
    }
    for row in PUBMEDQA
]
CASES: dict[str, tuple[list[Row], list[Row]]] = {
    "medmcqa": (_choices(), MEDMCQA),
    "logiqa": (_choices(passage=PASSAGES), LOGIQA),
    "pubmedqa": (OF_PUBMEDQA, PUBMEDQA),
}
"""By task: rows in the package's columns, and the same as lm-eval has them."""


@pytest.mark.parametrize("name", CASES)
def test_own_rows(name: str, oracle: Oracle, tmp_path: Path) -> None:
    rows, their = CASES[name]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    data = {"package": None, "file": str(tmp_path / "rows.jsonl"), "subsets": None}
    cell = ours.cell(name, tmp_path, protocol="lm-eval", set={"data": data})
    splits = {"train": tuple(their), "validation": tuple(their), "test": tuple(their)}
    assert ours.asked(cell) == dict(enumerate(oracle.asked(name, splits)))
    assert load_task(name, protocol="lm-eval").definition.demonstrations.shots == 0
