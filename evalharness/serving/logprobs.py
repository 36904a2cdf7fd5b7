"""Log-probabilities of tokens, as the two endpoints show them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalharness.serving.text import REPLACEMENT, TokenTexts
from evalharness.types import Completion, Likelihood, Tokenizer

OTHERS = "<other tokens>"
"""Stands among the likeliest tokens of a prompt's position for all but the prompt's own token."""
LEAST = -9999.0
"""In place of minus infinity, which JSON cannot spell."""

Likeliest = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """One token of a prompt or a text."""

    text: str
    offset: int
    """Where its text begins."""
    log_probability: float | None
    """None for the first token of a prompt."""
    likeliest: Likeliest | None
    """The likeliest tokens at its place, this one among them; None where nothing is known of them."""


class Speller:
    """How single tokens are written."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.decode = tokenizer.decode
        self._special: dict[int, str] = {}
        for text in tokenizer.special_tokens.values():
            ids = tokenizer.encode(text)
            if len(ids) == 1:
                self._special[ids[0]] = text

    def special(self, id: int) -> str:
        """The text of a special token, which decoders leave out; empty for any other one."""
        return self._special.get(id, "")


def prompt_tokens(speller: Speller, ids: Sequence[int], text: str, likelihood: Likelihood) -> tuple[ScoredToken, ...]:
    """The tokens of a prompt, of which all but the first were scored.

    Which other token was likelier than one that is not greedy is not known. Beside such a token stands `OTHERS` with
    the log-probability ``log(1 - p)`` of all others together, which is above that of the token: so the maximum tells
    whether a token was the likeliest.
    """
    texts = TokenTexts(speller.decode)
    tokens: list[ScoredToken] = []
    offset = 0
    # A backend may not know which tokens were the likeliest.
    greedy_at = likelihood.greedy or (None,) * len(likelihood.log_likelihoods)
    scores = [(None, None), *zip(likelihood.log_likelihoods, greedy_at, strict=True)]
    for id, (value, greedy) in zip(ids, scores, strict=True):
        piece, special = texts.push(id), speller.special(id)
        spelled = piece or special
        value = None if value is None else max(value, LEAST)
        tokens.append(ScoredToken(spelled, offset, value, _likeliest(spelled, value, greedy)))
        # A special token is in the text where the client spelled it.
        offset += len(piece) or (len(special) if special and text.startswith(special, offset) else 0)
    return tuple(tokens)


def _likeliest(spelled: str, value: float | None, greedy: bool | None) -> Likeliest | None:
    if value is None or greedy is None:
        return None
    return ((spelled, value),) if greedy else ((OTHERS, _of_the_others(value)), (spelled, value))


def _of_the_others(value: float) -> float:
    """``log(1 - exp(value))``, and above `value` where a tie or rounding made them equal."""
    others = math.log(-math.expm1(value)) if value < 0 else LEAST
    return max(others, math.nextafter(value, math.inf))


def completion_tokens(speller: Speller, completion: Completion, count: int, lead: int) -> tuple[ScoredToken, ...]:
    """The tokens of a completion that came with log-probabilities, `count` likeliest ones at each place.

    Args:
        lead: characters that stand before the completion.
    """
    texts = TokenTexts(speller.decode)
    tokens = []
    offset = lead
    values = completion.log_probabilities or ()
    # A backend may leave them out where none were asked for.
    likeliest_at = completion.likeliest or ((),) * len(values)
    for id, value, likeliest in zip(completion.ids, values, likeliest_at, strict=True):
        shown = likeliest[:count]
        others = {other: texts.next(other) or speller.special(other) or speller.decode([other]) for other, _ in shown}
        piece = texts.push(id)
        others[id] = piece or speller.special(id)
        value = max(value, LEAST)
        known = [(others[other], max(its, LEAST)) for other, its in shown]
        if id not in [other for other, _ in shown]:
            known.append((others[id], value))
        tokens.append(ScoredToken(others[id], offset, value, tuple(known)))
        offset += len(piece)
    return tuple(tokens)


# --------------------------------------------------------------------------- forms


def of_completions(tokens: Sequence[ScoredToken], count: int) -> Mapping[str, Any]:
    """The form of ``/v1/completions``; where several tokens are written alike, the likeliest of them counts."""
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.log_probability for token in tokens],
        "top_logprobs": [_by_text(token.likeliest) for token in tokens] if count else None,
        "text_offset": [token.offset for token in tokens],
    }


def _by_text(likeliest: Likeliest | None) -> dict[str, float] | None:
    if likeliest is None:
        return None
    found: dict[str, float] = {}
    for text, value in likeliest:
        found.setdefault(text, value)
    return found


def of_chat(tokens: Sequence[ScoredToken], count: int) -> Mapping[str, Any]:
    """The form of ``/v1/chat/completions``."""
    return {
        "content": [
            {
                **_entry(token.text, token.log_probability),
                "top_logprobs": [_entry(text, value) for text, value in (token.likeliest or ())[:count]],
            }
            for token in tokens
        ]
    }


def _entry(text: str, value: float | None) -> dict[str, Any]:
    return {"token": text, "logprob": value, "bytes": None if not text or REPLACEMENT in text else list(text.encode())}
