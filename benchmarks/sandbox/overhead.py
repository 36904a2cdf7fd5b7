"""What a box costs beside the bare interpreter, and how long HumanEval's gold solutions take.

The bare interpreter is the same Python with the same options, started as a process that does nothing. Each level runs
that program in a box, in turns with the bare interpreter; then a tested candidate (two boxes). Prints one JSON line:
medians in milliseconds. With a mirror of data sets, the 164 gold solutions too, in seconds, with as many workers as
processors.

    python benchmarks/sandbox/overhead.py [--rounds 50] [--data-dir DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from evalharness.errors import ServiceError
from evalharness.sandbox.choose import choose
from evalharness.sandbox.interpreter import find_interpreter
from evalharness.sandbox.pool import Pool


def milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began)


def beside_the_interpreter(rounds: int) -> dict[str, float]:
    python = find_interpreter()
    bare = [python.executable, *python.options, "-c", "pass"]
    sandboxes = []
    for level in ("bwrap", "landlock"):
        try:
            sandboxes.append(choose(level))
        except ServiceError as error:
            print(error)
    times: dict[str, list[float]] = {"interpreter": []}
    for _ in range(rounds):
        times["interpreter"].append(milliseconds(lambda: subprocess.run(bare, capture_output=True, check=True)))
        for box in sandboxes:
            run = milliseconds(lambda box=box: box.run("pass"))
            tested = milliseconds(lambda box=box: box.test("def f(): return 1", tests="assert f() == 1", calls=["f"]))
            times.setdefault(f"{box.level}, run", []).append(run)
            times.setdefault(f"{box.level}, tested", []).append(tested)
    return {name: round(statistics.median(values), 2) for name, values in times.items()}


def gold(data_dir: Path) -> dict[str, float]:
    from evalharness.run.options import RunOptions
    from evalharness.run.plan import plan

    (cell,) = plan(RunOptions(task=("humaneval",), data_dir=data_dir))
    seconds = {}
    for level in ("bwrap", "landlock"):
        try:
            pool = Pool(choose(level))
        except ServiceError as error:
            print(error)
            continue

        async def every(pool: Pool = pool) -> list[str]:
            rows = [sample.row for sample in cell.samples]
            outcomes = await asyncio.gather(
                *(
                    pool.test(
                        row["prompt"] + row["canonical_solution"],
                        tests=f"{row['test']}\ncheck({row['entry_point']})",
                        calls=[row["entry_point"]],
                        setup=row["prompt"],
                    )
                    for row in rows
                )
            )
            return [outcome.status for outcome in outcomes]

        began = time.perf_counter()
        statuses = asyncio.run(every())
        seconds[f"{level}, {statuses.count('pass')} of {len(statuses)} pass"] = round(time.perf_counter() - began, 2)
        pool.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("EVALHARNESS_DATA"))
    options = parser.parse_args()
    told: dict[str, object] = {"benchmark": "sandbox_overhead", "ms": beside_the_interpreter(options.rounds)}
    if options.data_dir:
        told["humaneval_gold_s"] = gold(Path(options.data_dir))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
