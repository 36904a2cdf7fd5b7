"""Wrong programs made from right ones by one small change, each shown to be wrong by plain `exec`."""

from __future__ import annotations

import ast
import contextlib
import copy
import os
import signal
from collections.abc import Collection, Iterator

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.BitXor: ast.BitOr, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Pow: ast.Mult,
}  # fmt: skip
PATIENCE, SHORT = 20, 2
"""Seconds for a right program, of which some are slow, and for a mutant, of which some never end."""


def wrong_program(right: str, functions: Collection[str], tests: str) -> str:
    """The first mutant of a right program that raises in its tests, and does not run on for ever."""
    for mutant in mutants(right, functions):
        if outcome(mutant, tests, SHORT) == "raised":
            return mutant
    raise AssertionError(f"no mutant is wrong:\n{right}")


def mutants(source: str, functions: Collection[str]) -> Iterator[str]:
    """Programs that differ from `source` in one place of one of these functions."""
    tree = ast.parse(source)
    for place, node in enumerate(_within(tree, functions)):
        changed = copy.deepcopy(tree)
        if _mutate(node, _within(changed, functions)[place]):
            yield ast.unparse(changed)


def _within(tree: ast.Module, functions: Collection[str]) -> list[ast.AST]:
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in functions]
    return [part for function in found for part in ast.walk(function)]


def _mutate(node: ast.AST, twin: ast.AST) -> bool:
    """Change the twin of a node, if there is something to change."""
    match node, twin:
        case ast.Compare(ops=[operator, *_]), ast.Compare() if type(operator) in COMPARISONS:
            twin.ops[0] = COMPARISONS[type(operator)]()
        case ast.BinOp(op=operator), ast.BinOp() if type(operator) in OPERATORS:
            twin.op = OPERATORS[type(operator)]()
        case ast.Constant(value=bool(value)), ast.Constant():
            twin.value = not value
        case ast.Constant(value=int(value)), ast.Constant():
            twin.value = value + 1
        case ast.Return(value=ast.expr()), ast.Return():
            twin.value = ast.Constant(None)
        case _:
            return False
    return True


def outcome(program: str, tests: str, seconds: int = PATIENCE) -> str:
    """What plain `exec` in a forked child makes of a program and its tests: ``passed``, ``raised`` or ``ran on``."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(seconds)
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(nowhere, descriptor)
            with contextlib.suppress(BaseException):
                names = {"__name__": "program"}
                exec(program, names)
                exec(tests, names)
                code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "ran on"
    return "passed" if os.WEXITSTATUS(status) == 0 else "raised"
