"""The comparisons that a worker makes. They may take for ever: only a worker calls them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache


def formulas_equal(target: str, answer: str) -> bool:
    """Whether math-verify finds the formula `answer` equal to the formula `target`."""
    return texts_equal(_marked(target), _marked(answer))


def _marked(formula: str) -> str:
    """A formula as math-verify finds it in a text. LaTeX knows no ``**``: of ``9**9`` its reader would read the 9."""
    return formula if "**" in formula else f"${formula}$"


def texts_equal(target: str, answer: str) -> bool:
    """Whether what math-verify reads as the answer of one text equals what it reads of the other.

    It reads the last boxed formula, else a formula or a number; sets, intervals, matrices, equations and inequalities
    are compared as such (github.com/huggingface/Math-Verify). The target comes first: the comparison is not symmetric.
    """
    from math_verify import parse, verify

    gold, said = parse(target, parsing_timeout=None), parse(answer, parsing_timeout=None)
    return bool(verify(gold, said, timeout_seconds=None))


def minerva_equal(target: str, answer: str) -> bool:
    """Whether sympy simplifies the difference of two normalised LaTeX expressions to zero, as Lewkowycz et al. 2022
    (arXiv:2206.14858, appendix D) define it; what it cannot parse, subtract or simplify is not equal."""
    import sympy
    from sympy.parsing.latex import parse_latex

    try:
        return bool(sympy.simplify(parse_latex(target) - parse_latex(answer)) == 0)
    except (MemoryError, RecursionError):
        raise
    except Exception:  # sympy raises whatever its parts raise
        return False


COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "formulas": formulas_equal,
    "texts": texts_equal,
    "minerva": minerva_equal,
}
"""By the names under which a worker is asked for them."""


@cache
def missing_package() -> str | None:
    """The package of the extra `math` that is not installed; None where all are."""
    from importlib.util import find_spec

    return next((name for name in ("math_verify", "sympy", "antlr4") if find_spec(name) is None), None)
