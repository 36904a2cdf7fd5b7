"""Rows of our own for the benchmarks of mathematics, in the columns of MATH, MATH-500 and ASDiv."""

from __future__ import annotations

from parity.benchmark import Row


def _problem(problem: str, solution: str, number: int) -> Row:
    return {"problem": problem, "level": f"Level {1 + number % 5}", "type": "Algebra", "solution": solution}


MATH = tuple(
    _problem(problem, solution, number)
    for number, (problem, solution) in enumerate(
        (
            ("What is  $2 + 2$? ", r"It is $\boxed{4}$."),
            ("Simplify $\\sqrt{12}$.\nAnswer exactly.", r"First $\boxed{\sqrt{12}}$, then $\boxed{2\sqrt{3}}$."),
            (" What is {{ a }} of {% b %}?", r"Half of it: $\boxed{\frac{1}{2}}$"),
            ("Zoë has 1,200 pens — how many?", r"She has $\boxed{1{,}200 \text{ pens}}$."),
            ("", r"The interval is $\boxed{\left[2, 5\right)}$."),
            ("Solve $3x = 1$.", r"So $x = \boxed 3$ is wrong and $x = \boxed \frac13$ right."),
        )
    )
)
MATH_POOL = tuple(
    _problem(f"What is ${n} + {n}${' ' * (n % 2)}?", rf"It is $\boxed{{{2 * n}}}$.", n) for n in range(20)
)

MATH_500 = tuple(
    {
        "problem": row["problem"],
        "solution": row["solution"],
        "answer": "as it is",
        "subject": "Algebra",
        "level": 1,
        "unique_id": f"test/algebra/{number}.json",
    }
    for number, row in enumerate(MATH)
)


def _word_problem(body: str, question: str, answer: str) -> Row:
    return {"body": body, "question": question, "solution_type": "Addition", "answer": answer, "formula": "1+1=2"}


ASDIV = (
    _word_problem("Ada has 2 pens and buys 3.", "How many has she?", "5 (pens)"),
    _word_problem(" A bus  leaves at 8. ", "When does it come? ", "9:30 (a.m.)"),
    _word_problem("", "What is {{ it }}?", "nothing"),
    _word_problem("Line one.\nLine two.", "Who?", "Zoë (a girl) (again)"),
    _word_problem("A box.", "How many are red and blue?", "17 (red); 13 (blue)"),
    _word_problem("“So”", "it's", " 3.5 (kg)"),
)
