"""How a wave is cut into chunks for workers: what shares a prefix stays together, whatever the number of workers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evalharness.types import GenerateRequest, Request, Ticket

CHUNK_TOKENS = 2048
"""Distinct prompt tokens of a chunk: small enough that the last chunks keep all workers busy, and a poisonous request
is found soon; large enough that a worker's batches are full with two chunks at hand."""
CHUNK_TEXTS = 64
"""Completions of a chunk."""
PREAMBLE = 64
"""Tokens, or characters of a text, by which chunks are sent where their like has been."""

Sequenced = Sequence[int] | str


@dataclass(slots=True, eq=False)
class Chunk:
    """Requests that one worker answers together."""

    tickets: list[Ticket]
    preamble: bytes
    """Digest of how its prompts begin."""
    deaths: int = 0
    """Workers that died with it: a chunk that saw one runs alone on its worker."""
    unanswered: set[int] | None = None
    """Places in `tickets`; None until it is sent."""

    @property
    def suspect(self) -> bool:
        return self.deaths > 0

    def left(self) -> list[Ticket]:
        """The tickets without an answer, in order."""
        if self.unanswered is None:
            return self.tickets
        return [self.tickets[place] for place in sorted(self.unanswered)]

    def halves(self) -> list[Chunk]:
        """What is left, as two chunks."""
        left = self.left()
        middle = len(left) // 2
        return [Chunk(part, self.preamble, self.deaths) for part in (left[:middle], left[middle:]) if part]


def chunks(tickets: Iterable[Ticket], *, most_tokens: int = CHUNK_TOKENS, most_texts: int = CHUNK_TEXTS) -> list[Chunk]:
    """Cut requests into chunks of bounded size.

    In the order of their prompts neighbours share the longest prefixes. A chunk that is full ends where, in its second
    half, neighbours share the least.
    """
    ordered = sorted(tickets, key=lambda ticket: _key(ticket.request))
    cut: list[Chunk] = []
    begin, size, texts = 0, 0, 0
    seams: list[tuple[int, int]] = []
    """Of the open chunk: (tokens shared with the neighbour before, place)."""
    place = 0
    while place < len(ordered):
        request = ordered[place].request
        shared = _shared(sequence(ordered[place - 1].request), sequence(request)) if place > begin else 0
        more, further = len(sequence(request)) - shared, _texts(request)
        if place > begin and (size + more > most_tokens or texts + further > most_texts):
            later = [(common, -at) for common, at in [*seams, (shared, place)] if at - begin > (place - begin) // 2]
            end = -min(later)[1]
            cut.append(_chunk(ordered[begin:end]))
            begin = place = end
            size, texts, seams = 0, 0, []
            continue
        size, texts = size + more, texts + further
        if place > begin:
            seams.append((shared, place))
        place += 1
    if begin < len(ordered):
        cut.append(_chunk(ordered[begin:]))
    return cut


def sequence(request: Request) -> Sequenced:
    """What a model reads for a request: ids, or text where no tokenizer is known."""
    if isinstance(request, GenerateRequest):
        return request.prompt.text if request.prompt.ids is None else request.prompt.ids
    return request.context.text + request.continuation if request.ids is None else request.ids


def _chunk(tickets: list[Ticket]) -> Chunk:
    start = sequence(tickets[0].request)[:PREAMBLE]
    told = start if isinstance(start, str) else " ".join(map(str, start))
    return Chunk(tickets, hashlib.sha256(told.encode("utf-8", "surrogatepass")).digest())


def _key(request: Request) -> tuple[bool, Sequenced, str, int, int]:
    """Prompts in order; requests of one prompt in the order in which they were asked."""
    read, origin = sequence(request), request.origin
    return isinstance(read, str), read, origin.sample_id, origin.repeat, origin.call


def _texts(request: Request) -> int:
    return request.n if isinstance(request, GenerateRequest) else 0


def _shared(one: Sequenced, other: Sequenced) -> int:
    """Length of the common prefix."""
    if type(one) is not type(other):
        return 0
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
