"""From nothing to a table: texts, corpus, training, every test question, and what shortcuts reach on the same ones.

Stopped and started again it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import balance
import curve
import shortcuts
import texts

import evalharness
from evalharness.cli.pretrain import read_options

HERE = Path(__file__).parent
ASKED = (
    ("coin_flip", "default", "test", "two people"),
    ("coin_flip", "three_people", "test_3", "three people"),
    ("coin_flip", "four_people", "test_4", "four people"),
    ("last_letter_concatenation", "default", "test", "two words"),
    ("last_letter_concatenation", "three_words", "test_3", "three words"),
    ("last_letter_concatenation", "four_words", "test_4", "four words"),
)
"""Task, protocol, split, and what is in its questions; the texts have two names."""
DOCUMENTS = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("runs/tiny-symbolic"), help="Where everything goes.")
    parser.add_argument("--train", default="train.yaml", help="The training: a YAML of this folder.")
    parser.add_argument("--documents", type=int, default=DOCUMENTS, help="Texts of each task.")
    parser.add_argument("--limit", type=int, help="Questions of each kind that the last checkpoint is asked; all.")
    parser.add_argument("--set", action="append", default=[], help="A change to that YAML: steps=100. Repeatable.")
    arguments = parser.parse_args()
    began = time.perf_counter()
    folder = arguments.output
    texts.write(folder / "texts", arguments.documents)
    for name in ("corpus.yaml", arguments.train):
        shutil.copy(HERE / name, folder)
    command("corpus", "build", folder / "corpus.yaml")
    train = folder / arguments.train
    command("pretrain", train, *(part for change in arguments.set for part in ("--set", change)))
    training = folder / read_options(train, arguments.set)[0].folder
    variant = training.name.removeprefix("training")
    table = asked(training, folder / f"tested{variant}", arguments.documents, arguments.limit)
    (folder / f"curve{variant}.svg").write_text(curve.picture(training), encoding="utf-8")
    (folder / f"table{variant}.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    for line in lines(table) + balance.lines(training):
        print(line)
    print(f"\n{time.perf_counter() - began:.0f} s in all; {folder / f'table{variant}.json'}")


def command(*arguments: object) -> None:
    """Run the harness's command.

    Raises:
        SystemExit: it failed, and has said why.
    """
    ended = subprocess.run([sys.executable, "-m", "evalharness", *map(str, arguments)], check=False)
    if ended.returncode:
        raise SystemExit(ended.returncode)


def asked(training: Path, tested: Path, documents: int, limit: int | None) -> list[dict[str, Any]]:
    """By kind of question: the score of the last checkpoint, its interval, and what each shortcut scores."""
    checkpoint = max((training / "checkpoints").glob("step-*[0-9]"))
    table = []
    for task, protocol, split, what in ASKED:
        run = evalharness.evaluate(
            task,
            model=str(checkpoint),
            protocol=protocol,
            method="direct",
            shots=0,
            set={"decode": {"max_tokens": 24}},
            limit=limit,
            output=tested / f"{checkpoint.name}-{task}-{protocol}",
        )
        assert run.results is not None
        score = run.results.scores["exact_match"]
        guessed = shortcuts.accuracies(texts.learned(task, documents), texts.tested(task, split)[: score.n])
        table.append(
            {"task": task, "questions": what, "n": score.n, "model": score.value, "interval": [score.low, score.high]}
            | guessed
        )
    return table


def lines(table: list[dict[str, Any]]) -> list[str]:
    """The table in Markdown."""
    columns = ["task", "questions", "n", "model", "95 % interval", *shortcuts.GUESSERS]
    rows = [
        [f"{value:.3f}" if isinstance(value, float) else str(value) for value in (row | _interval(row)).values()]
        for row in table
    ]
    return ["", *(f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows))]


def _interval(row: dict[str, Any]) -> dict[str, Any]:
    low, high = row["interval"]
    return {"interval": f"{low:.3f} to {high:.3f}"}


if __name__ == "__main__":
    main()
