"""The sections `elicitation` and `decode` of a task file."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from evalharness.options import Options


class ElicitationOptions(Options):
    """The method, and beside it the method's own options."""

    model_config = ConfigDict(extra="allow", frozen=True)

    method: str = "direct"
    """Name of a method: direct, few_shot, chain_of_thought, zero_shot_chain_of_thought, self_consistency,
    choice_likelihood, continuation_likelihood, rolling_likelihood, or a plugin's."""

    @property
    def method_options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class DecodeOptions(Options):
    """How a completion is drawn."""

    max_tokens: int = Field(default=256, ge=1)
    """Longest completion, in tokens."""
    temperature: float = Field(default=0.0, ge=0.0)
    """0 is greedy."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Nucleus sampling: keep the likeliest tokens that together reach this probability."""
    top_k: int = Field(default=0, ge=0)
    """Keep the k likeliest tokens; 0 keeps all."""
    stop: tuple[str, ...] = ()
    """Texts that end a completion, cut off before the first of them."""
