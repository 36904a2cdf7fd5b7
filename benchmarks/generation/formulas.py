"""How long 5,000 answers take to be compared as formulas, in our worker processes, beside math-verify called plainly.

The answers are fractions, decimals, radicals, powers, intervals, sets, tuples, polynomials and equations, each right
(written in another way) or wrong, by a seed. Plainly means one process and no limits of time or memory, which nobody
should do with what a model wrote; it gets every tenth pair. Prints one JSON line; the bound is 120 s for ours.

    python benchmarks/generation/formulas.py [--answers 5000]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

from evalharness.answers.boxed import BoxedParser
from evalharness.scoring.apply import Scorer
from evalharness.scoring.symbolic.equality import COMPARISONS
from evalharness.scoring.symbolic.metrics import MathEqual
from evalharness.types import Attempt, Reference

BOUND = 120.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--answers", type=int, default=5_000)
    given = options.parse_args()
    load = os.getloadavg()[0]
    pairs = _pairs(given.answers)
    scorer = Scorer(BoxedParser(), [MathEqual()])

    def right(pair: tuple[str, str]) -> float:
        target, said = pair
        attempt = Attempt(calls=(), candidates=(f"So it is \\boxed{{{said}}}.",))
        return scorer.score(attempt, Reference(target=target)).scores["math_equal"].value

    with ThreadPoolExecutor() as threads:
        began = time.perf_counter()
        found = list(threads.map(right, pairs))
        ours = time.perf_counter() - began
    scorer.close()
    some = pairs[::10]
    COMPARISONS["formulas"]("1", "2")  # imports are in neither reading
    began = time.perf_counter()
    plain = [float(target == said or COMPARISONS["formulas"](target, said)) for target, said in some]
    theirs = (time.perf_counter() - began) * len(pairs) / len(some)
    print(
        json.dumps(
            {
                "benchmark": "formulas",
                "answers": len(pairs),
                "right": sum(found),
                "disagreements": sum(one != other for one, other in zip(found[::10], plain, strict=True)),
                "seconds": {"ours": round(ours, 1), "math_verify_in_one_process": round(theirs, 1)},
                "ratio": round(ours / theirs, 2),
                "bound": BOUND,
                "within": ours <= BOUND,
                "processors": os.cpu_count(),
                "load": load,
            }
        )
    )


def _pairs(count: int) -> list[tuple[str, str]]:
    """(target, answer): answers are another spelling of the target, or of its neighbour."""
    draw = random.Random(0)
    return [_pair(draw, draw.random() < 0.5) for _ in range(count)]


def _pair(draw: random.Random, right: bool) -> tuple[str, str]:
    a, b, c = (draw.randint(2, 60) for _ in range(3))
    n = a if right else a + 1
    return draw.choice(
        [
            (rf"\frac{{{a}}}{{{b}}}", rf"\dfrac{{{n * c}}}{{{b * c}}}"),
            (f"{a / 4:.2f}", rf"\frac{{{n}}}{{4}}"),
            (rf"{b}\sqrt{{{a}}}", rf"\sqrt{{{b * b * n}}}"),
            (f"x^2 - {a * a}", f"(x-{n})(x+{a})"),
            (f"[{a}, {a + b})", f"[{n},{a + b})"),
            (rf"\{{{a}, {a + b}\}}", rf"\{{{a + b}, {n}\}}"),
            (f"({a}, {b})", rf"\left({n}, {b}\right)"),
            (f"x = {a}", f"{n}"),
            (rf"{a}\pi", rf"\pi \cdot {n}"),
            (f"{a}\\%", f"{n}\\%"),
            (f"2^{{{a % 12}}}", f"{2 ** (n % 12)}"),
            (rf"\frac{{{a}x + {b}}}{{{c}}}", rf"\frac{{{n}}}{{{c}}} x + \frac{{{b}}}{{{c}}}"),
        ]
    )


if __name__ == "__main__":
    main()
