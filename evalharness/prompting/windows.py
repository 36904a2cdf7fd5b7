"""Sliding windows over a document longer than a model's context, for rolling perplexity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def sliding_windows(ids: Sequence[int], prefix: int, max_length: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """Cut a document into (ids of the window, position of its first scored token); every token is scored once.

    The first window begins with `prefix` (BOS, else EOS), so that the first token has a context. Each later
    window is as long as the context allows and overlaps the earlier one by what it does not score: the
    windows are full except the first, which may be shorter, and all but the last score `max_length` tokens.
    This is lm-eval's rolling window with a context of 1.

    A window holds at most ``max_length + 1`` ids: its last token is scored and never fed.
    """
    first = min(max_length, len(ids))
    yield (prefix, *ids[:first]), 1
    done = first
    while done < len(ids):
        end = min(done + max_length, len(ids))
        begin = end - max_length - 1
        yield tuple(ids[begin:end]), done - begin
        done = end
