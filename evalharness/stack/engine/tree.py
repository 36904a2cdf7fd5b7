"""The prefix tree: every distinct token of what an engine is asked, once.

A node is a run of tokens without a branch; every job ends at the end of a node. Nodes are computed depth-first,
so that what must be kept is one path from the root, and a node's keys and values go when its last job is done.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from evalharness.stack.engine.generation import RunningJob
    from evalharness.stack.engine.scoring import RunningScore

HEAD = 16
"""Tokens of an unshared branch that stay while samples are still to come: their prompts may begin alike."""


Want = tuple["RunningScore", int, int]
"""A token that is scored from a row: the job, which of its scores, the token."""


class Node:
    """A run of tokens. `slots` are those of its first `computed` tokens, once a step is over."""

    __slots__ = (
        "awaited",
        "children",
        "computed",
        "ends",
        "ids",
        "parent",
        "pending",
        "shared",
        "slots",
        "start",
        "todo",
        "user",
        "wants",
    )

    def __init__(self, ids: list[int], start: int, parent: Node | None) -> None:
        self.ids = ids
        self.start = start
        """Position of the first token."""
        self.parent = parent
        self.children: dict[int, Node] = {}
        """By first token, in order of arrival."""
        self.computed = 0
        self.slots: list[int] = []
        self.wants: dict[int, list[Want]] = {}
        """By offset of the token whose row predicts the wanted one."""
        self.ends: list[RunningScore | RunningJob] = []
        """Unfinished jobs that end here."""
        self.pending = 0
        """Unfinished jobs here and below."""
        self.todo = 0
        """Tokens not computed, here and below."""
        self.user: Hashable = None
        self.shared = False
        """Whether jobs of two users have gone through."""
        self.awaited = False
        """Whether a later turn of a dialogue may go on from here."""

    @property
    def end(self) -> int:
        """Position after the last token."""
        return self.start + len(self.ids)

    def path(self) -> list[Node]:
        """From the first node below the root to this one."""
        nodes: list[Node] = []
        node: Node | None = self
        while node is not None and node.parent is not None:
            nodes.append(node)
            node = node.parent
        nodes.reverse()
        return nodes


class Piece(NamedTuple):
    """Tokens of a node that are computed in one step."""

    node: Node
    begin: int
    end: int


class PrefixTree:
    """What is asked, what of it is computed, and what comes next."""

    def __init__(self, release: Callable[[Sequence[int]], None]) -> None:
        self._release = release
        """Takes the slots of tokens that are no longer kept."""
        self.root = Node([], 0, None)
        self._cursor = self.root
        self._kept: dict[Node, None] = {}
        """Nodes without a job that stay because samples are still to come; the one kept longest comes first."""

    # ----------------------------------------------------------------------- growing

    def insert(self, ids: Sequence[int], job: RunningScore | RunningJob, user: Hashable) -> Node:
        """Add a job that reads `ids`; the node that it ends at."""
        node, at = self.root, 0
        touched = [node]
        while at < len(ids):
            child = node.children.get(ids[at])
            if child is None:
                child = self._append(node, list(ids[at:]))
            length = _common(child.ids, ids, at)
            if length < len(child.ids):
                self.split(child, length)
            node = child
            at += length
            touched.append(node)
        for node in touched:
            node.pending += 1
            self._kept.pop(node, None)
            if node.user is None:
                node.user = user
            elif node.user != user:
                node.shared = True
        node.ends.append(job)
        job.end = node
        return node

    def _append(self, parent: Node, ids: list[int]) -> Node:
        child = Node(ids, parent.end, parent)
        parent.children[ids[0]] = child
        self._add_todo(child, len(ids))
        return child

    def split(self, node: Node, length: int) -> None:
        """Cut a node after `length` of its tokens; a new child takes the rest and the jobs."""
        lower = Node(node.ids[length:], node.start + length, node)
        lower.children, node.children = node.children, {node.ids[length]: lower}
        for child in lower.children.values():
            child.parent = lower
        lower.ends, node.ends = node.ends, []
        for job in lower.ends:
            job.end = lower
        lower.wants = {offset - length: wants for offset, wants in node.wants.items() if offset >= length}
        node.wants = {offset: wants for offset, wants in node.wants.items() if offset < length}
        lower.slots, node.slots = node.slots[length:], node.slots[:length]
        lower.computed = max(0, node.computed - length)
        node.computed = min(node.computed, length)
        lower.pending, lower.user, lower.shared = node.pending, node.user, node.shared
        lower.awaited = node.awaited
        lower.todo = node.todo - (length - node.computed)
        node.ids = node.ids[:length]
        if node in self._kept:
            self._kept[lower] = None
        if self._cursor is node:
            self._cursor = lower if lower.computed else node

    # ----------------------------------------------------------------------- walking

    def pieces(self, room: int, admit: Callable[[Node], bool]) -> list[Piece]:
        """What to compute next, depth-first from where the last step ended, up to `room` tokens.

        The walk stops before a node at whose end jobs wait that `admit` refuses.
        """
        line: list[Piece] = []
        taken: dict[Node, int] = {}
        """Tokens of each subtree that the line holds already."""
        node = self._cursor
        while room > 0 and self.root.todo > taken.get(self.root, 0):
            while node.parent is not None and node.todo <= taken.get(node, 0):
                node = node.parent
            begin = node.computed + (taken.get(node, 0) if node.computed < len(node.ids) else 0)
            if begin >= len(node.ids):
                node = next(child for child in node.children.values() if child.todo > taken.get(child, 0))
                continue
            if node.ends and not admit(node):
                break
            end = min(len(node.ids), begin + room)
            line.append(Piece(node, begin, end))
            room -= end - begin
            above: Node | None = node
            while above is not None:
                taken[above] = taken.get(above, 0) + end - begin
                above = above.parent
            if end < len(node.ids):
                break
        return line

    def computed(self, piece: Piece, slots: Sequence[int]) -> None:
        """The tokens of a piece are computed, and the first of them kept in `slots`."""
        piece.node.slots += slots
        piece.node.computed = piece.end
        self._add_todo(piece.node, piece.begin - piece.end)
        self._cursor = piece.node

    # ----------------------------------------------------------------------- shrinking

    def finish(self, job: RunningScore | RunningJob, keep: bool, awaited: bool = False) -> None:
        """A job is done: nodes that no other job needs go, unless `keep` and they are likely to be asked again.

        Nodes that are `awaited` stay whole.
        """
        node = job.end
        assert node is not None
        node.ends.remove(job)
        job.end = None
        while node is not None:
            parent = node.parent
            node.pending -= 1
            node.awaited |= awaited
            if node.pending == 0 and parent is not None:
                self._retire(node, keep)
            node = parent

    def _retire(self, node: Node, keep: bool) -> None:
        parent = node.parent
        assert parent is not None
        if node.awaited and len(node.slots) == len(node.ids):
            self._kept[node] = None
            return
        length = len(node.slots) if node.shared else min(HEAD, len(node.slots))
        if not keep or not length or not (node.shared or parent.shared or parent is self.root):
            self._remove(node)
            return
        node.wants.clear()
        if length < len(node.ids):
            for child in list(node.children.values()):
                self._remove(child)
            self._cut(node, length)
        self._kept[node] = None

    def put_back(self, ids: Sequence[int], kept: int, allocate: Callable[[int], list[int]]) -> list[int]:
        """Keep a text that was drawn outside the tree, its prompt included, for a job that may go on from it.

        Returns the slots that the last of its tokens are to be copied into: none where the first `kept` of them are
        not in the tree any more, or all of them are there already.
        """
        node, at = self.root, 0
        while at < len(ids) and (child := node.children.get(ids[at])) is not None:
            length = _common(child.ids, ids, at)
            if len(child.slots) < length:
                return []
            if length < len(child.ids):
                self.split(child, length)
            node, at = child, at + length
        if at < kept or at == len(ids):
            return []
        child = Node(list(ids[at:]), at, node)
        child.slots = allocate(len(ids) - at)
        child.computed = len(child.ids)
        child.awaited = True
        node.children[ids[at]] = child
        self._kept[child] = None
        return child.slots

    def _cut(self, node: Node, length: int) -> None:
        self._release(node.slots[length:])
        self._add_todo(node, node.computed - len(node.ids))
        del node.ids[length:], node.slots[length:]
        node.computed = length

    def _remove(self, node: Node) -> None:
        """Take a node and all below it out of the tree."""
        for child in list(node.children.values()):
            self._remove(child)
        parent = node.parent
        assert parent is not None
        self._release(node.slots)
        self._add_todo(node, -node.todo)
        del parent.children[node.ids[0]]
        self._kept.pop(node, None)
        if self._cursor is node:
            self._cursor = parent

    def reclaim(self, needed: Callable[[], bool]) -> None:
        """Let go of kept keys and values while they are `needed` elsewhere.

        First of nodes that no job asks for, then of those off the path that is being computed: these are computed
        again when their turn comes.
        """
        self.release_kept(needed)
        if not needed():
            return
        path = {*self._cursor.path(), self.root}
        for node in list(self.nodes()):
            if node not in path and node.computed:
                self.drop(node)
                if not needed():
                    return

    def drop(self, node: Node) -> None:
        """Forget what was computed of a node; it is computed again when it is needed."""
        self._release(node.slots)
        node.slots = []
        self.forget(node)

    def forget(self, node: Node) -> None:
        """Tokens that were computed and could not be kept are computed again when they are needed."""
        self._add_todo(node, node.computed - len(node.slots))
        node.computed = len(node.slots)

    def release_kept(self, needed: Callable[[], bool] = lambda: True, *, awaited: bool = True) -> None:
        """Let go of what no job asks for, the longest kept first, while its room is `needed`.

        What is `awaited` goes last, or stays.
        """
        if not self._kept or not needed():
            return
        for node in [node for node in self._kept if not self._awaited_below(node)]:
            if not needed():
                return
            if node in self._kept:
                self._remove(node)
        while awaited and self._kept and needed():
            self._remove(next(iter(self._kept)))

    def _awaited_below(self, node: Node) -> bool:
        return node.awaited or any(self._awaited_below(child) for child in node.children.values())

    def clear(self) -> None:
        for child in list(self.root.children.values()):
            self._remove(child)
        self.root.pending = 0
        self._kept.clear()

    @property
    def kept_tokens(self) -> int:
        return sum(len(node.slots) for node in self._kept)

    def nodes(self) -> Iterator[Node]:
        """All but the root, depth-first."""
        waiting = list(reversed(self.root.children.values()))
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children.values()))

    def _add_todo(self, node: Node | None, count: int) -> None:
        while node is not None:
            node.todo += count
            node = node.parent

    def check(self) -> None:
        """Recount everything from scratch.

        Raises:
            AssertionError: the tree contradicts itself.
        """
        slots: list[int] = []
        for node in [self.root, *self.nodes()]:
            below = list(node.children.items())
            assert all(child.ids[0] == first and child.parent is node for first, child in below), "a child is misfiled"
            assert all(child.start == node.end for _, child in below), "a child begins elsewhere than its parent ends"
            assert node is self.root or node.ids, "an empty node"
            assert node.pending == len(node.ends) + sum(child.pending for _, child in below), "jobs are miscounted"
            missing = len(node.ids) - node.computed
            assert node.todo == missing + sum(child.todo for _, child in below), "tokens to do are miscounted"
            assert len(node.slots) == node.computed <= len(node.ids), "computed tokens are not kept"
            assert node is self.root or node.pending or node in self._kept, "a node that nobody needs"
            assert all(job.end is node for job in node.ends), "a job ends elsewhere"
            slots += node.slots
        assert len(slots) == len(set(slots)), "a slot has two owners"


def _common(run: Sequence[int], ids: Sequence[int], at: int) -> int:
    """Length of the common prefix of `run` and ``ids[at:]``."""
    longest = min(len(run), len(ids) - at)
    if list(ids[at : at + longest]) == run[:longest]:
        return longest
    for length in range(longest):
        if run[length] != ids[at + length]:
            return length
    return longest
