"""Syntax trees by tree-sitter, for the languages that calls are written in beside Python."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module, util
from typing import TYPE_CHECKING, Any, Literal

from evalharness.errors import ServiceError

if TYPE_CHECKING:
    from tree_sitter import Node

Language = Literal["java", "javascript", "python"]


def require_grammar(language: Language, what: str) -> None:
    """Check that the packages are there, without importing them.

    Raises:
        ServiceError: one is not; `what` says who asks.
    """
    for package in ("tree_sitter", f"tree_sitter_{language}"):
        if util.find_spec(package) is None:
            raise ServiceError(
                f"{what} needs the package {package.replace('_', '-')}, which is not installed; "
                "type pip install 'evalharness[code]'."
            )


@cache
def _grammar(language: Language) -> Any:
    from tree_sitter import Language as Grammar

    return Grammar(import_module(f"tree_sitter_{language}").language())


def syntax_tree(source: bytes, language: Language) -> Node:
    """The root of the tree of a program in UTF-8, faulty or not."""
    from tree_sitter import Parser  # a parser is no object to share between threads, and making one is cheap

    return Parser(_grammar(language)).parse(source).root_node


def walk(root: Node) -> Iterator[Node]:
    """Every node below and with `root`, parents first, in the order of the text. Nothing here recurses."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.children)


def text_of(node: Node) -> str:
    """The source of a node."""
    return (node.text or b"").decode("utf-8", "replace")
