"""How many answers a second are read and checked by BFCL's rules, ours beside bfcl-eval's own decoder and checker.

The answers are right calls of every row of the AST categories that the package bfcl-eval carries; both sides read and
check the same texts, in turns. Prints one JSON line.

    pip install --no-deps bfcl-eval==2026.3.23
    python benchmarks/function_calls/checks.py [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from parity.bfcl_oracle import shared_oracle
from parity.bfcl_rows import CHECKED, language_of, parser_of, rows_of, task_of

from evalharness.answers.function_calls.calls import from_json
from evalharness.scoring.function_calls.check import Rules, problem_of
from evalharness.scoring.function_calls.reference import right_calls


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    rounds = options.parse_args().rounds
    bfcl = shared_oracle()
    rows = [
        (category, row, str(task_of(category).renderer.reference(row.sample).target))
        for category in CHECKED
        for row in rows_of(category)
    ]

    def ours() -> None:
        for category, row, target in rows:
            language = language_of(category)
            calls = from_json(str(parser_of(language).parse(row.answer).value))
            problem_of(calls, right_calls(target), Rules(language=language))

    def theirs() -> None:
        for category, row, _ in rows:
            language = language_of(category)
            read = bfcl.decoded(row.answer, language)
            bfcl.verdict(row.row["function"], read, row.row["ground_truth"], language, category)

    seconds: dict[str, list[float]] = {"ours": [], "bfcl-eval": []}
    for _ in range(rounds):
        for name, check in (("ours", ours), ("bfcl-eval", theirs)):
            seconds[name].append(elapsed(check))
    rates = {name: round(len(rows) / statistics.median(values)) for name, values in seconds.items()}
    ratio = round(rates["ours"] / rates["bfcl-eval"], 2)
    print(json.dumps({"benchmark": "function_calls", "answers": len(rows), "per_second": rates, "ratio": ratio}))


def elapsed(check: Callable[[], None]) -> float:
    began = time.perf_counter()
    check()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
