"""Counts what a run asks for: requests, tokens, and how many of the tokens are distinct."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import pairwise

from evalharness.backends.batching import Waves
from evalharness.types import Completions, GenerateRequest, Request, Result


@dataclass(slots=True)
class Usage:
    """What a run asked for so far.

    `prompt_tokens` are the tokens that a model must read: a scored sequence's last token is never fed.
    `distinct_tokens` is the size of the prefix tree over all of them, the least that any engine must compute.
    """

    requests: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    answered_tokens: int = 0
    """Those of the prompt tokens whose requests have been answered."""
    longest: int = 0
    """Tokens of the longest completion."""
    judging: Usage | None = None
    """What the judge model is asked for, where there is one."""
    _sequences: set[bytes] = field(default_factory=set)

    def asked(self, request: Request) -> None:
        self.requests += 1
        ids = _read(request)
        if ids:
            self.prompt_tokens += len(ids)
            self._sequences.add(_sortable(ids))

    def answered(self, request: Request, result: Result) -> None:
        self.answered_tokens += len(_read(request))
        if isinstance(result, Completions):
            told = result.completions[0].usage.get("completion_tokens", 0)
            lengths = [len(completion.ids) for completion in result.completions]
            self.generated_tokens += sum(lengths) or told
            self.longest = max(self.longest, *lengths)

    @property
    def distinct_tokens(self) -> int:
        """Nodes of the prefix tree over everything asked: in sorted order, what each adds to its neighbour."""
        ordered = sorted(self._sequences)
        if not ordered:
            return 0
        added = sum(len(later) - _shared(earlier, later) for earlier, later in pairwise(ordered))
        return (len(ordered[0]) + added) // 4

    def counts(self) -> dict[str, int]:
        """As results.json keeps it; what is asked of a judge model has names of its own."""
        judging = self.judging.counts() if self.judging else {}
        return {
            "requests": self.requests,
            "prompt_tokens": self.prompt_tokens,
            "distinct_tokens": self.distinct_tokens,
            "generated_tokens": self.generated_tokens,
            **{f"judge_{name}": count for name, count in judging.items()},
        }


@dataclass(frozen=True, slots=True)
class Meter:
    """Stands before the waves of a backend and counts what passes."""

    waves: Waves
    usage: Usage

    async def ask(self, request: Request) -> Result:
        self.usage.asked(request)
        result = await self.waves.ask(request)
        self.usage.answered(request, result)
        return result


def _read(request: Request) -> tuple[int, ...]:
    """The tokens that a model must read to answer; empty without a tokenizer."""
    if isinstance(request, GenerateRequest):
        return request.prompt.ids or ()
    return (request.ids or ())[:-1]


def _sortable(ids: tuple[int, ...]) -> bytes:
    """Four bytes a token, most significant first: byte order is token order."""
    packed = array("I", ids)
    packed.byteswap()
    return packed.tobytes()


def _shared(one: bytes, other: bytes) -> int:
    """Bytes of the common prefix, in whole tokens."""
    low, high = 0, min(len(one), len(other)) // 4
    while low < high:
        middle = (low + high + 1) // 2
        if one[: middle * 4] == other[: middle * 4]:
            low = middle
        else:
            high = middle - 1
    return low * 4
