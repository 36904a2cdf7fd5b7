"""copa, math_qa and c_eval ask what lm-eval asks, byte for byte, of rows that we wrote: the mirror has none."""

from __future__ import annotations

from pathlib import Path

import pytest
from parity import ours
from parity.benchmark import Row
from parity.lm_eval_oracle import Oracle

from evalharness.tasks.task import load_task

COPA: list[Row] = [
    {"premise": premise, "choice1": one, "choice2": other, "question": question, "label": label, "idx": number}
    for number, (premise, one, other, question, label) in enumerate(
        (
            ("The glass fell.", "It broke.", "It sang.", "effect", 0),
            (" Zoë's café was shut. ", "“Nobody” came.", "{{ It }} was Sunday.", "cause", 1),
            ("The lamp went out!", "A storm rose.", "I read on.", "cause", 0),
        )
    )
]
MATHQA: list[Row] = [
    {"Problem": problem, "options": options, "correct": correct}
    for problem, options, correct in (
        ("a baker sells 12 rolls an hour . how many in 3 hours ?", "a ) 15 , b ) 24 , c ) 36 , d ) 48 , e ) none", "c"),
        (" what is {{ x }} ?", "a ) 1 : 2 , b ) rs . 4,200 , c ) x , d ) y , e ) 5", "e"),
        ("line one\nline two", "a ) 1 , b ) 2 , c ) 3 , d ) 4 , e ) 5", "a"),
    )
]
CEVAL: list[Row] = [
    {"id": number, "question": question, **dict(zip("ABCD", texts, strict=True)), "answer": answer}
    for number, (question, texts, answer) in enumerate(
        (
            ("一年有____个月。", ("十", "十二", "七", "三十"), "B"),
            (" 水的沸点是____。\n", ("100℃", "50℃ ", " 0℃", "{{ D }}"), "A"),
            ("1", ("1", "2", "3", "4"), "D"),
        )
    )
]
CASES: dict[str, tuple[str, str, str, list[Row]]] = {
    "copa": ("copa", "aps/super_glue/copa/validation", "aps/super_glue/copa/train", COPA),
    "math_qa": ("mathqa", "regisss/math_qa/default/test", "regisss/math_qa/default/train", MATHQA),
    "c_eval/law": ("ceval-valid_law", "ceval/ceval-exam/law/val", "ceval/ceval-exam/law/dev", CEVAL),
}
"""By task: lm-eval's name, the places of the rows and of the pool in a mirror, and the rows."""


@pytest.mark.parametrize("shots", [None, 0, 2])
@pytest.mark.parametrize("name", CASES)
def test_own_rows(name: str, shots: int | None, oracle: Oracle, tmp_path: Path) -> None:
    theirs, place, pool, rows = CASES[name]
    text = next(key for key in ("premise", "Problem", "question") if key in rows[0])
    shown = [row | {text: f"{number}. {row[text]}"} for number, row in enumerate([*rows, *rows])]
    ours.write_split(tmp_path, place, rows)
    ours.write_split(tmp_path, pool, shown)
    splits = {"train": tuple(shown), "dev": tuple(shown)}
    splits |= {split: tuple(rows) for split in ("validation", "val", "test")}
    asked = ours.asked(ours.cell(name, tmp_path, protocol="lm-eval", shots=shots))
    assert asked == dict(enumerate(oracle.asked(theirs, splits, shots)))


def test_every_subject_of_c_eval_is_described_as_lm_eval_does(oracle: Oracle) -> None:
    task = load_task("c_eval", protocol="lm-eval")
    subjects = [str(subject) for subject in task.subsets()]
    assert sorted(f"ceval-valid_{subject}" for subject in subjects) == oracle.names("ceval-valid_")
    described = task.definition.prompt.descriptions
    splits = {split: tuple(CEVAL) for split in ("dev", "val")}
    for subject in subjects[:: len(subjects) // 4]:
        assert described[subject] == oracle.task(f"ceval-valid_{subject}", splits).config.description
