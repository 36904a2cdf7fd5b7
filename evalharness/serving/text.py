"""Text of tokens as they come: whole characters, and nothing that a stop string may still take back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

Decode = Callable[[Sequence[int]], str]


class TokenTexts:
    """Which text each token of a sequence adds.

    A token is decoded behind those of the last piece of text, because decoders treat the first token of a text
    differently. What ends in half a character waits until the character is whole.
    """

    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self._ids: list[int] = []
        """Those of the last piece, and those behind it that have no text yet."""
        self._settled = 0
        """How many of them the last piece has."""
        self._before = ""
        """Text of those."""

    def next(self, id: int) -> str:
        """What this token would add, with what waited for it; empty where it completes no character."""
        piece = self._decode([*self._ids, id])[len(self._before) :]
        return "" if piece.endswith(REPLACEMENT) else piece

    def push(self, id: int) -> str:
        """What this token adds."""
        piece = self.next(id)
        self._ids.append(id)
        if piece:
            del self._ids[: self._settled]
            self._settled = len(self._ids)
            self._before = self._decode(self._ids)
        return piece


class StreamedText:
    """The text of one completion, piece by piece. All pieces together are the text that a client gets at once.

    `lead` is text that stands before it, in which no stop string counts.
    """

    def __init__(self, decode: Decode, stop: Sequence[str], lead: str = "") -> None:
        self._texts = TokenTexts(decode)
        self._stop = tuple(stop)
        self._ready = lead
        self._held = ""
        """May be the beginning of a stop string."""
        self._stopped = False
        self._sent = 0

    def push(self, ids: Sequence[int]) -> None:
        """Take new tokens in."""
        for id in ids:
            piece = self._texts.push(id)
            if piece and not self._stopped:
                self._add(piece)

    def take(self) -> str:
        """What may be sent now and was not."""
        ready, self._ready = self._ready, ""
        self._sent += len(ready)
        return ready

    def rest(self, text: str) -> str:
        """What is left to send of the whole text, which is known now."""
        return text[self._sent :]

    def _add(self, piece: str) -> None:
        # As an engine does: the first stop string that is complete ends the text.
        self._held += piece
        places = [place for stop in self._stop if (place := self._held.find(stop)) >= 0]
        self._stopped = bool(places)
        end = min(places) if places else len(self._held) - self._begun_stop()
        self._ready += self._held[:end]
        self._held = self._held[end:]

    def _begun_stop(self) -> int:
        """Characters at the end of what is held that a stop string may begin with."""
        longest = 0
        for stop in self._stop:
            for size in range(min(len(stop) - 1, len(self._held)), longest, -1):
                if self._held.endswith(stop[:size]):
                    longest = size
                    break
        return longest
