"""Text of a generation as its tokens come, and the stop strings in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
LONGEST_CHARACTER = 4
"""Bytes of the longest UTF-8 character; byte-level tokens hold at least one byte each."""


class TextStream:
    """Detokenises incrementally and looks for stop strings.

    A token is decoded together with those of the last settled piece, because decoders treat the first token
    of a text differently; a piece that ends in half a character waits until the character is whole.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stop = tuple(stop)
        self._ids: list[int] = []
        self._settled = 0
        """Tokens whose text is in `_text`."""
        self._context = 0
        """First token of the last settled piece."""
        self._text = ""
        self._keep = max(map(len, stop), default=0)

    def push(self, id: int) -> bool:
        """Take one token in; whether a stop string is complete now."""
        self._ids.append(id)
        if not self._stop:
            return False
        before = self._decode(self._ids[self._context : self._settled])
        piece = self._decode(self._ids[self._context :])[len(before) :]
        if piece.endswith(REPLACEMENT) and len(self._ids) - self._settled < LONGEST_CHARACTER:
            return False
        # A stop string can begin in older text, but must end in the new piece.
        tail = self._text[-self._keep :] + piece
        self._text += piece
        self._context, self._settled = self._settled, len(self._ids)
        return any(stop in tail for stop in self._stop)

    def finish(self) -> tuple[str, str | None]:
        """The whole text, cut before the first stop string in it, and that stop string if there is one."""
        text = self._decode(self._ids)
        places = [(text.find(stop), stop) for stop in self._stop if stop in text]
        if not places:
            return text, None
        place, stop = min(places, key=lambda found: found[0])
        return text[:place], stop
