"""The YAML of a low-rank adapter."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from evalharness.stack.corpus.options import Section

ALL_LINEAR = "all-linear"


class LoraOptions(Section):
    """A low-rank adapter: ``x W^T + s (x A^T) B^T``, where A and B alone are trained.

    A begins as ``nn.Linear`` does (Kaiming-uniform: within ``1 / sqrt(I)`` of 0), B with zeros, so that a training
    begins from the model as it was.
    """

    rank: int = Field(default=8, ge=1)
    """Rows of A, and columns of B."""
    alpha: float = Field(default=16.0, gt=0, allow_inf_nan=False)
    """s is ``alpha / rank``."""
    rank_stabilized: bool = False
    """s is ``alpha / sqrt(rank)`` (rsLoRA: Kalajdzievski 2023, arXiv:2312.03732), with which high ranks learn as well
    as low ones."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the numbers that go into adapters which are 0 in training."""
    targets: tuple[str, ...] = Field(default=(ALL_LINEAR,), min_length=1)
    """Layers with an adapter: ``all-linear`` (all but the vocabulary projection and the routers of experts);
    ``q_proj``, ``k_proj``, ``v_proj``, ``o_proj``, ``gate_proj``, ``up_proj``, ``down_proj``, whatever the family calls
    them; the family's own names in the library transformers (``c_attn``); or ends of ours (``attention.output``)."""

    @field_validator("targets", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value
