"""What a run may spend at a server, in tokens and in money, and what it has spent."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalharness.errors import BudgetError, DataError, UsageError

PRICES = Path(__file__).with_name("prices.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a provider asks for, in US dollars a million tokens."""

    input: float
    output: float
    date: str
    """When it was read, ISO 8601."""


def price_of(name: str, path: Path | None = None) -> Price | None:
    """The price of a model: from the file `path`, or from the table that is shipped; None where neither knows.

    A dated version (``gpt-4o-2024-08-06``) has the price of the longest name that it begins with.

    Raises:
        DataError: the file is malformed.
    """
    import yaml

    place = path or PRICES
    try:
        table = yaml.safe_load(place.read_text(encoding="utf-8"))
        prices = {str(key): Price(**entry) for key, entry in table["models"].items()}
    except OSError as error:
        raise DataError(f"{place}: cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        wanted = "models: {NAME: {input: 2.5, output: 10, date: 2026-01-31}}, in dollars a million tokens"
        raise DataError(f"{place}: no table of prices ({' '.join(str(error).split())}); it says {wanted}.") from None
    bare = name.rpartition("/")[2]
    known = [key for key in prices if bare == key or bare.startswith(f"{key}-2")]
    return prices[max(known, key=len)] if known else None


@dataclass(slots=True)
class Budget:
    """Counts what a server's answers cost, and says when enough is spent."""

    price: Price | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    counts: dict[str, float] = field(default_factory=dict)
    """requests, attempts_again, refusals, prompt_tokens, completion_tokens, reasoning_tokens, cost."""
    tokens: float = 0.0
    """Over the whole life of the backend, as `cost` is."""
    cost: float = 0.0

    def __post_init__(self) -> None:
        if self.max_cost is not None and self.price is None:
            raise UsageError(
                "--max-cost: no price of this model is known; give a file of prices (--model-option prices=FILE), "
                "or bound the tokens (--max-tokens-total)."
            )

    def check(self) -> None:
        """Refuse a further request where the budget is spent.

        Raises:
            BudgetError: it is.
        """
        if self.max_tokens is not None and self.tokens >= self.max_tokens:
            raise BudgetError(
                f"the budget of {self.max_tokens:,} tokens is spent ({self.tokens:,.0f}); what was answered is kept: "
                "run the same command with a larger --max-tokens-total to go on."
            )
        if self.max_cost is not None and self.cost >= self.max_cost:
            raise BudgetError(
                f"the budget of ${self.max_cost:g} is spent (${self.cost:.4f}); what was answered is kept: run "
                "the same command with a larger --max-cost to go on."
            )

    def count(self, name: str, value: float = 1.0) -> None:
        self.counts[name] = self.counts.get(name, 0.0) + value

    def used(self, usage: dict[str, int]) -> None:
        """Add what one answer used."""
        for name, value in usage.items():
            self.count(name, value)
        read, written = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
        self.tokens += read + written
        if self.price is not None:
            cost = (read * self.price.input + written * self.price.output) / 1e6
            self.cost += cost
            self.count("cost", cost)

    def taken(self) -> dict[str, float]:
        """The counts since the last call."""
        told, self.counts = self.counts, {}
        return told


def usage_of(usage: Any) -> dict[str, int]:
    """What a server says of the tokens of an answer, in the words of chat completions or of responses."""
    if usage is None:
        return {}
    details = getattr(usage, "completion_tokens_details", None) or getattr(usage, "output_tokens_details", None)
    told = {
        "prompt_tokens": getattr(usage, "prompt_tokens", None) or getattr(usage, "input_tokens", None),
        "completion_tokens": getattr(usage, "completion_tokens", None) or getattr(usage, "output_tokens", None),
        "reasoning_tokens": getattr(details, "reasoning_tokens", None),
    }
    return {name: int(count) for name, count in told.items() if count}
