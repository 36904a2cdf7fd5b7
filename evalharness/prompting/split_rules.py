"""How a continuation is cut from its context in token ids. The rule is part of a protocol, by name.

A tokenizer may merge the end of the context with the start of the continuation, so the two cannot be
tokenised apart and glued without changing what the model sees. Each rule answers: which ids, and from
which position are they the continuation's? Position 0 says that no token is left to stand before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

SplitRule = Literal["common_prefix", "lm_eval", "separate"]
Encode = Callable[[str], list[int]]


def common_prefix(encode: Encode, context: str, context_ids: Sequence[int], continuation: str) -> tuple[list[int], int]:
    """Tokenise both as one text; score from the first token that differs from the context's own.

    Where no token straddles the border this equals `lm_eval`; where one does, the straddling token is
    scored (its probability belongs to the continuation) and nothing is lost.
    """
    whole = encode(context + continuation)
    start = 0
    for ours, theirs in zip(whole, context_ids, strict=False):
        if ours != theirs:
            break
        start += 1
    return whole, min(start, len(whole) - 1)


def lm_eval(encode: Encode, context: str, context_ids: Sequence[int], continuation: str) -> tuple[list[int], int]:
    """lm-eval 0.4: spaces that end the context move to the continuation, whose ids are then what the ids of both
    together have beyond the length of the context's own.

    Where a token straddles the border this feeds the context's own ids all the same, as lm-eval does. Where
    nothing is beyond that length lm-eval fails; here the last token of both together is scored.
    """
    moved = len(context) - len(context.rstrip())
    if moved:
        context, continuation = context[:-moved], context[-moved:] + continuation
        context_ids = encode(context)
    whole = encode(context + continuation)
    if len(whole) <= len(context_ids):
        return whole, len(whole) - 1
    return [*context_ids, *whole[len(context_ids) :]], len(context_ids)


def separate(encode: Encode, context: str, context_ids: Sequence[int], continuation: str) -> tuple[list[int], int]:
    """Tokenise each apart and join the ids."""
    before_any_text = len(encode(""))  # a BOS belongs before the context, not between the two
    return [*context_ids, *encode(continuation)[before_any_text:]], len(context_ids)


RULES: dict[SplitRule, Callable[[Encode, str, Sequence[int], str], tuple[list[int], int]]] = {
    "common_prefix": common_prefix,
    "lm_eval": lm_eval,
    "separate": separate,
}
