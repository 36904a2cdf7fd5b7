"""Which API of a data base a line of Python calls: by Gorilla's rule, and by a stricter one.

Gorilla (Patil et al. 2023, arXiv:2305.15334; its scripts ``eval-scripts/ast_eval_*.py``) takes the first API of the
data base whose name begins a subtree of the code and whose arguments all stand in that subtree's text, anywhere. Its
quirks are kept: where no subtree begins with the name, the last one that was looked at is searched for the arguments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from evalharness.answers.function_calls.trees import syntax_tree, text_of, walk

if TYPE_CHECKING:
    from tree_sitter import Node

Library = Literal["torchhub", "tensorflow", "huggingface"]
Matching = Literal["gorilla", "strict"]


@dataclass(frozen=True, slots=True)
class Call:
    """A call in code."""

    name: str
    texts: frozenset[str]
    """What its arguments say that are texts, by position or by name."""


@dataclass(frozen=True, slots=True)
class Api:
    """An entry of the data base."""

    code: str
    domain: str
    name: str | None
    """First child of its call, as text; None where the code is a bare name."""
    arguments: tuple[str, ...]
    """What Gorilla's rule looks for."""
    call: Call | None


@lru_cache(maxsize=8)
def apis(entries: tuple[tuple[str, str], ...], library: Library) -> tuple[Api, ...]:
    """The data base ready to be matched; of entries with the same code and domain the first."""
    return tuple(_api(code, domain, library) for code, domain in dict.fromkeys(entries))


def _api(code: str, domain: str, library: Library) -> Api:
    root = _parsed(code)
    head = root.children[0].children[0] if root.children and root.children[0].children else None
    name = text_of(head.children[0]) if head is not None and head.children else None
    arguments = tuple(_looked_for(head, library)) if head is not None else ()
    return Api(code, domain, name, arguments, next(calls(code), None))


def _looked_for(head: Node, library: Library) -> Iterator[str]:
    """The arguments that Gorilla's script for a library looks for, without the apostrophes around them."""
    for child in head.children[1].children if len(head.children) > 1 else ():
        text = text_of(child)
        match library:
            case "torchhub":
                valued, whole = "repo_or_dir" in text or "model" in text, False
            case "tensorflow":
                valued, whole = "model=" in text or "model =" in text, text not in ("(", ")", ",")
            case _:
                valued, whole = "=" in text, text not in ("(", ")", ",")
        if valued and len(child.children) > 2:
            yield text_of(child.children[2]).strip("'")
        elif whole and not valued:
            yield text.strip("'")


def by_gorilla(code: str, database: Sequence[Api]) -> Api | None:
    """The API that Gorilla's rule finds in the code."""
    subtrees = _subtrees(_parsed(code))
    texts = {node.id: text_of(node) for node, _ in subtrees}
    for api in database:
        if api.name is None or not api.arguments:
            continue
        node = next((node for node, first in subtrees if first == api.name), subtrees[-1][0])
        if all(argument in texts[node.id] for argument in api.arguments):
            return api
    return None


def _subtrees(root: Node) -> list[tuple[Node, str | None]]:
    """Every node with children, and the root, with the text of the first child, in the order of Gorilla's stack."""
    found, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        found.append((node, text_of(node.children[0]) if node.children else None))
        waiting += [child for child in node.children if child.children]
    return found


def by_calls(code: str, database: Sequence[Api]) -> list[Api]:
    """The APIs that the code calls: the same name, and every text among an entry's arguments is one of the call's.

    Other arguments say how an API is used, not which it is. A text may carry a tag after a colon, as the repositories
    of torch.hub do.
    """
    made = list(calls(code))
    return [api for api in database if api.call is not None and any(_is(call, api.call) for call in made)]


def _is(made: Call, wanted: Call) -> bool:
    said = made.texts | {text.partition(":")[0] for text in made.texts if "://" not in text}
    return made.name == wanted.name and wanted.texts <= said


def calls(code: str) -> Iterator[Call]:
    """Every call in the code, the outer ones first. Code that stands in a JSON text may have its marks escaped."""
    plain = code.replace('\\"', '"').replace("\\'", "'").lstrip("\"'` \n")
    for node in walk(_parsed(plain)):
        if node.type != "call":
            continue
        name, given = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        if name is not None and given is not None:
            yield Call("".join(text_of(name).split()), frozenset(_texts(given)))


def _texts(given: Node) -> Iterator[str]:
    for child in given.named_children:
        value = child.child_by_field_name("value") if child.type == "keyword_argument" else child
        if value is not None and value.type == "string":
            yield "".join(text_of(part) for part in value.children if part.type == "string_content")
        elif value is not None and value.type == "binary_operator":  # a/b: the data base lacks the marks here and there
            yield "".join(text_of(value).split())


def _parsed(code: str) -> Node:
    return syntax_tree(code.encode("utf-8", "replace"), "python")
