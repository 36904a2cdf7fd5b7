"""The page that a model reads in one episode: what it opened, and how far it has looked in it."""

from __future__ import annotations

SHOWN = 5
"""Sentences at a page's beginning that are shown when it is opened."""


class Page:
    """What the tools `search` and `lookup` share, with the rules of ReAct's environment (wikienv.py of Yao et al. 2022,
    arXiv:2210.03629).

    A sentence ends where a full stop and a space stand, or a line ends, and is shown with a full stop: one that had its
    own, at the end of a line, has two.
    """

    def __init__(self) -> None:
        self._sentences: list[str] = []
        self._keyword: str | None = None
        self._found: list[str] = []
        self._shown = 0

    def open(self, text: str) -> str:
        """Turn to a new text; its beginning."""
        self._sentences = _sentences(text)
        self._keyword = None
        return " ".join(self._sentences[:SHOWN])

    def next(self, keyword: str) -> str | None:
        """The next sentence with the keyword, in whatever case, and which one it is; None after the last one.

        Another keyword begins anew at the page's beginning.
        """
        if keyword != self._keyword:
            self._keyword, self._shown = keyword, 0
            self._found = [sentence for sentence in self._sentences if keyword.lower() in sentence.lower()]
        if self._shown == len(self._found):
            return None
        self._shown += 1
        return f"(Result {self._shown} / {len(self._found)}) {self._found[self._shown - 1]}"


def _sentences(text: str) -> list[str]:
    parts = [part.strip() for line in text.split("\n") for part in line.strip().split(". ")]
    return [f"{part}." for part in parts if part]
