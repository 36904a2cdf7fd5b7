"""Rows that we wrote in the columns of HumanEval and MBPP, and in neither of them."""

from __future__ import annotations

from parity.benchmark import Row

HUMANEVAL: tuple[Row, ...] = (
    {
        "task_id": "own/0",
        "prompt": 'def half(n: int) -> int:\n    """ Half of n, rounded down.\n    >>> half(5)\n    2\n    """\n',
        "canonical_solution": "    return n // 2\n",
        "test": "\n\ndef check(candidate):\n    assert candidate(5) == 2\n    assert candidate(-1) == -1\n",
        "entry_point": "half",
    },
    {
        "task_id": "own/1",
        "prompt": "from typing import List\n\n\ndef join(words: List[str]):\n    '''Words, as {{ one }} text. '''\n",
        "canonical_solution": '    return " ".join(words)\n',
        "test": 'def check(candidate):\n    assert candidate(["a", "b"]) == "a b"\n    assert candidate([]) == ""\n',
        "entry_point": "join",
    },
    {
        "task_id": "own/2",
        "prompt": '\n\ndef größer(a, b):\n    """Ob a größer als b ist."""\n    ',
        "canonical_solution": "return a > b",
        "test": "def check(candidate):\n    assert candidate(2, 1) is True\n    assert candidate(1, 1) is False",
        "entry_point": "größer",
    },
)

MBPP: tuple[Row, ...] = (
    {
        "task_id": 11,
        "text": "Write a function to double a number.",
        "code": "def double(x):\r\n  return 2 * x",
        "test_list": ["assert double(2) == 4", "assert double(0) == 0", "assert double(-1.5)==-3.0 "],
        "test_setup_code": "",
        "challenge_test_list": [],
    },
    {
        "task_id": 12,
        "text": " Write a function to find the point on the right of two {{ points }}.",
        "code": "class Point:\n  def __init__(self, x): self.x = x\ndef right(a, b): return a if a.x > b.x else b",
        "test_list": [
            "assert right(Point(1), Point(2)).x == 2",
            "assert right(p, Point(0)) is p",
            "assert right(p, p) is p",
        ],
        "test_setup_code": "p = Point(9)",
        "challenge_test_list": [],
    },
)
