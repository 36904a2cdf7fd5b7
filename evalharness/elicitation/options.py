"""The sections `elicitation` and `decode` of a task file."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ConfigDict, Field, model_validator

from evalharness.options import Options
from evalharness.types import Sampling


class ElicitationOptions(Options):
    """The method, and beside it the method's own options."""

    model_config = ConfigDict(extra="allow", frozen=True)

    method: str = "direct"
    """Name of a method: direct, few_shot, chain_of_thought, zero_shot_chain_of_thought, self_consistency, self_check,
    program_aided, program_of_thoughts, function_calling, react, choice_likelihood, continuation_likelihood,
    rolling_likelihood, or a plugin's."""

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
    min_p: float = Field(default=0.0, ge=0.0, le=1.0)
    """Keep tokens of at least this share of the likeliest one's probability."""
    repetition_penalty: float = Field(default=1.0, gt=0.0)
    """Divides positive and multiplies negative logits of every token of prompt and completion; 1 changes nothing."""
    presence_penalty: float = 0.0
    """Taken from the logit of every token that the completion holds."""
    frequency_penalty: float = 0.0
    """Taken from the logit of every token that the completion holds, each time."""
    logit_bias: dict[int, float] = Field(default_factory=dict)
    """By token id of the model: added to its logit."""
    log_probabilities: int | None = Field(default=None, ge=0)
    """Record the log-probability of every token, and of so many likeliest ones at its place."""
    json_schema: dict[str, Any] | None = None
    """The completion must be JSON of this schema; ``x-guidance: {whitespace_flexible: false}`` in it forbids spaces."""
    regex: str | None = None
    """The completion must match this regular expression from beginning to end."""
    stop: tuple[str, ...] = ()
    """Texts that end a completion, cut off before the first of them."""

    @model_validator(mode="after")
    def _one_grammar(self) -> DecodeOptions:
        if self.json_schema is not None and self.regex is not None:
            raise ValueError("json_schema and regex exclude each other")
        return self

    @property
    def sampling(self) -> Sampling:
        """What a request says."""
        values = self.model_dump()
        values["logit_bias"] = tuple(values["logit_bias"].items())
        if self.json_schema is not None:
            values["json_schema"] = json.dumps(self.json_schema)
        return Sampling(**values)

    def protocol(self) -> dict[str, Any]:
        """What the protocol hash covers: options that came later count where they are set."""
        first = {"max_tokens", "temperature", "top_p", "top_k", "stop"}
        return self.model_dump(mode="json", include=first) | self.model_dump(
            mode="json", exclude=first, exclude_defaults=True
        )
