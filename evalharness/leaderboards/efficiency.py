"""What a model's runs took, over all columns."""

from __future__ import annotations

from collections.abc import Sequence

from evalharness.leaderboards.options import Price
from evalharness.records.scores import Scores


def efficiency(name: str, runs: Sequence[Scores], price: Price | None) -> float | None:
    """``tokens`` and ``seconds`` are sums over the runs, ``memory`` the most bytes of keys and values at once, ``cost``
    that of the prompts' and generated tokens at the model's price.

    A sum needs all its parts: None where one run does not say it, or a cost has no price. A run that stands in several
    columns counts once.
    """
    facts = [scores.efficiency for scores in {(scores.run, scores.task): scores for scores in runs}.values()]
    if name in ("seconds", "memory"):
        key = "seconds" if name == "seconds" else "peak_kv_bytes"
        if not all(key in fact for fact in facts):
            return None
        values = [fact[key] for fact in facts]
        return sum(values) if name == "seconds" else max(values)
    if not all({"prompt_tokens", "generated_tokens"} <= fact.keys() for fact in facts):
        return None
    prompt, generated = (sum(fact[key] for fact in facts) for key in ("prompt_tokens", "generated_tokens"))
    if name == "tokens":
        return prompt + generated
    return None if price is None else (price.prompt * prompt + price.generated * generated) / 1e6
