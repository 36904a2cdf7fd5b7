"""Filters that look into programs: what tests use of the program that they test."""

from __future__ import annotations

import ast
import builtins
import warnings


def functions_used(tests: str, program: str) -> list[str]:
    """Names of the functions of `program` that `tests` use, in the order of their first use.

    Raises:
        SyntaxError: one of them is no Python.
    """
    defined = _functions(_tree(program))
    names = [node for node in ast.walk(_tree(tests)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    ordered = sorted(names, key=lambda node: (node.lineno, node.col_offset))
    return [name for name in dict.fromkeys(node.id for node in ordered) if name in defined]


def needs_one_process(tests: str, program: str) -> bool:
    """Whether `tests` must run where the program is, since a pipe with plain data would not do for them.

    They use something of the program that is no function (a class, a constant, a module it imports), or hand a function
    or a class to one of its functions.

    Raises:
        SyntaxError: one of them is no Python.
    """
    tree, tested = _tree(tests), _tree(program)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    if not (used - _bound(tree)).isdisjoint(_bound(tested)):
        return True
    functions = _functions(tested)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {id(call.func) for call in calls}
    handed = [
        part
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in functions
        for argument in (*call.args, *call.keywords)
        for part in ast.walk(argument)
    ]
    return any(isinstance(part, ast.Lambda) or (id(part) not in called and _is_builtin(part)) for part in handed)


def _functions(tree: ast.Module) -> set[str]:
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def _bound(tree: ast.Module) -> set[str]:
    """Names that a program's top level binds to something else than a function of its own."""
    bound: set[str] = set()
    for node in tree.body:
        match node:
            case ast.ClassDef():
                bound.add(node.name)
            case ast.Import() | ast.ImportFrom():
                bound |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            case ast.Assign(targets=targets):
                bound |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return bound


def _is_builtin(node: ast.AST) -> bool:
    """Whether it names a built-in function or class: ``int``, ``len``."""
    return isinstance(node, ast.Name) and callable(getattr(builtins, node.id, None))


def _tree(source: str) -> ast.Module:
    with warnings.catch_warnings(action="ignore"):  # of escapes in strings, which are the source's own affair
        return ast.parse(source)
