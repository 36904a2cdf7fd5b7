"""Chunks hold every request once, are bounded, keep shared prefixes together, and depend on the requests alone."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from evalharness.run.executors.chunks import Chunk, chunks, sequence
from evalharness.types import GenerateRequest, Origin, Prompt, Request, Sampling, ScoreRequest

prompts = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=12).map(tuple), min_size=1, max_size=40)


@dataclass(eq=False)
class Held:
    """A ticket that nobody waits for."""

    request: Request
    cancelled = False

    def begin(self) -> None: ...

    def resolve(self, result: object) -> None: ...

    def fail(self, error: Exception) -> None: ...


def scoring(ids: tuple[int, ...], number: int) -> Held:
    origin = Origin(task="t", sample_id=str(number), index=number)
    return Held(ScoreRequest(origin=origin, context=Prompt(messages=(), text=""), continuation="", ids=ids, start=1))


def generating(ids: tuple[int, ...], number: int, n: int = 1) -> Held:
    origin = Origin(task="t", sample_id=str(number), index=number)
    prompt = Prompt(messages=(), text="", ids=ids)
    return Held(GenerateRequest(origin=origin, prompt=prompt, sampling=Sampling(max_tokens=4), n=n))


def distinct(chunk: Chunk) -> int:
    """Nodes of the prefix tree over a chunk, counted one by one."""
    return len(
        {
            tuple(ids[:end])
            for ticket in chunk.tickets
            for ids in [sequence(ticket.request)]
            for end in range(1, len(ids) + 1)
        }
    )


@given(prompts, st.integers(5, 30), st.randoms())
def test_every_request_is_in_one_chunk_and_chunks_are_bounded(
    asked: list[tuple[int, ...]], most: int, random: object
) -> None:
    tickets = [scoring(ids, number) for number, ids in enumerate(asked)]
    cut = chunks(tickets, most_tokens=most)
    assert sorted(id(ticket) for chunk in cut for ticket in chunk.tickets) == sorted(map(id, tickets))
    for chunk in cut:
        assert distinct(chunk) <= most or len({sequence(ticket.request) for ticket in chunk.tickets}) == 1
    shuffled = list(tickets)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert [chunk.tickets for chunk in chunks(shuffled, most_tokens=most)] == [chunk.tickets for chunk in cut]


def test_texts_are_bounded_too() -> None:
    cut = chunks([generating((1, number), number, n=3) for number in range(10)], most_texts=8)
    assert [len(chunk.tickets) for chunk in cut] == [2, 2, 2, 2, 2]


def test_a_full_chunk_ends_where_neighbours_share_least() -> None:
    first = [scoring((1, 1, 1, number), number) for number in range(4)]
    second = [scoring((2, 2, 2, number), number) for number in range(4)]
    cut = chunks(first + second, most_tokens=12)
    assert [[sequence(ticket.request)[0] for ticket in chunk.tickets] for chunk in cut] == [[1] * 4, [2] * 4]


def test_the_same_beginning_has_the_same_preamble() -> None:
    long = tuple(range(100))
    one, other = chunks([scoring((*long, number), number) for number in range(60)], most_tokens=130)[:2]
    assert one.preamble == other.preamble
    (elsewhere,) = chunks([scoring((7, 8), 0)])
    assert elsewhere.preamble != one.preamble
