"""The section `model` of a pretraining's YAML: which parts a decoder has, and how large it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from evalharness.stack.architectures.composed import SCALINGS, faults, unknown_name
from evalharness.stack.config import GATED, PARTS, ModelConfig, RopeScaling
from evalharness.stack.corpus.options import Section
from evalharness.stack.errors import TrainingError

VOCABULARY_GRAIN = 64
"""Rows of the embedding are a multiple of this: products of other shapes are slower."""

PRESETS: dict[str, dict[str, Any]] = {
    "gpt2-124m": {
        "layers": 12,
        "width": 768,
        "heads": 12,
        "norm": "layer_norm",
        "feed_forward": "gelu_tanh",
        "positions": "learned",
        "biases": "all",
        "tied_embeddings": True,
    },
    "llama-5m": {"layers": 4, "width": 256, "heads": 8, "kv_heads": 4, "tied_embeddings": True},
    "llama-28m": {"layers": 8, "width": 512, "heads": 8, "kv_heads": 4, "tied_embeddings": True},
}
"""Models to start from by name: GPT-2's smallest (Radford et al. 2019), and two of Llama's parts, called by the numbers
in them with a vocabulary of 8,192."""


class ScalingOptions(Section):
    """How rotary frequencies are stretched for sequences longer than those of a first training (`layers.rotary`)."""

    kind: str
    """``linear``, ``ntk``, ``yarn`` or ``llama3``."""
    factor: float = Field(ge=1, allow_inf_nan=False)
    """How many times longer."""
    original_length: int | None = Field(default=None, ge=1)
    """Tokens of the sequences of the first training (`yarn`, `llama3`)."""
    slow_turns: float | None = Field(default=None, gt=0)
    """`yarn`: 1 unless given."""
    fast_turns: float | None = Field(default=None, gt=0)
    """`yarn`: 32 unless given."""
    low_frequency_factor: float | None = Field(default=None, gt=0)
    """`llama3`: 1 unless given."""
    high_frequency_factor: float | None = Field(default=None, gt=0)
    """`llama3`: 4 unless given."""

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in SCALINGS:
            raise ValueError(unknown_name("scaling", kind, SCALINGS))
        return kind

    @model_validator(mode="after")
    def _fitting(self) -> ScalingOptions:
        taken = [field.name for field in fields(SCALINGS[self.kind])]
        given = self._given()
        if surplus := [name for name in given if name not in taken]:
            raise ValueError(f"{self.kind} takes no {surplus[0]}; it takes: {', '.join(taken)}.")
        if "original_length" in taken and self.original_length is None:
            raise ValueError(f"{self.kind} needs original_length, the tokens of the sequences of the first training.")
        return self

    def _given(self) -> dict[str, Any]:
        return self.model_dump(exclude={"kind"}, exclude_none=True)

    def to_scaling(self) -> RopeScaling:
        """As `ModelConfig` has it."""
        return SCALINGS[self.kind](**self._given())


class ModelOptions(Section):
    """Parts of a decoder by name, and sizes; the defaults are those of the Llama family. docs/model-stack.md has every
    part."""

    architecture: Literal["decoder"] = "decoder"
    """The other one is `encoder_decoder` (`architectures.encoder_decoder_options`)."""
    preset: str | None = None
    """A name of `PRESETS`, which the other keys change."""
    layers: int = Field(ge=1)
    """Blocks."""
    width: int = Field(ge=1)
    """Size of the hidden state."""
    heads: int = Field(ge=1)
    """Query heads of a layer."""
    kv_heads: int | None = Field(default=None, ge=1)
    """Key and value heads: 1 is multi-query, `heads` multi-head attention, all between grouped-query; `heads` unless
    given."""
    head_dim: int | None = Field(default=None, ge=1)
    """Size of a head; ``width / heads`` unless given."""
    ffn_width: int | None = Field(default=None, ge=1)
    """Size between the halves of the feed-forward layer; ``4 width`` unless given, and for the gated ones, which have
    three matrices in place of two, ``8/3 width`` rounded up to a multiple of 64."""
    norm: str = "rms_norm"
    norm_epsilon: float = Field(default=1e-5, gt=0, allow_inf_nan=False)
    """Added to the mean square or variance in every norm."""
    residual: str = "pre"
    """How a block adds to the stream and where it norms."""
    feed_forward: str = "swiglu"
    positions: str = "rope"
    rope_theta: float = Field(default=10_000.0, gt=1, allow_inf_nan=False)
    """Base of the rotary frequencies (`rope`, `xpos`)."""
    rope_scaling: ScalingOptions | None = None
    rotary_dim: int | None = None
    """Numbers at the front of each head that are turned (`rope`, `xpos`); all unless given."""
    biases: Literal["none", "qkv", "attention", "all"] = "none"
    """Which linear layers have one: the queries', keys' and values' (Qwen2), all four of attention, or the feed-forward
    layer's as well (GPT-2)."""
    experts: int | None = Field(default=None, ge=1)
    """Feed-forward layers of each block, of which a token passes through some (Mixtral); one for all unless given."""
    experts_per_token: int = Field(default=2, ge=1)
    """With `experts`: how many a token passes through."""
    embedding_norm: bool = False
    """A norm of the embedding before the first block (BLOOM)."""
    qk_norm: bool = False
    """RMSNorm over each head of queries and keys (Qwen3)."""
    window: int | None = Field(default=None, ge=1)
    """Tokens that a token sees, itself included; all before it unless given."""
    full_every: int | None = Field(default=None, ge=1)
    """With `window`: every so many layers one sees all, the last of them (Gemma 2: 2, Gemma 3: 6)."""
    tied_embeddings: bool = False
    """Whether the vocabulary projection is the embedding matrix."""
    vocab_size: int | None = Field(default=None, ge=1)
    """Rows of the embedding; the tokenizer's size rounded up to a multiple of 64 unless given."""
    initial_deviation: float = Field(default=0.02, gt=0, allow_inf_nan=False)
    """Standard deviation of the matrices that a training begins with (`architectures.initial`)."""

    @model_validator(mode="before")
    @classmethod
    def _start_from_preset(cls, values: Any) -> Any:
        name = values.get("preset") if isinstance(values, Mapping) else None
        if not isinstance(name, str):
            return values
        if name not in PRESETS:
            raise ValueError(unknown_name("preset", name, PRESETS))
        return PRESETS[name] | dict(values)

    @model_validator(mode="after")
    def _go_together(self) -> ModelOptions:
        for key, names in PARTS.items():
            if getattr(self, key) not in names:
                raise ValueError(unknown_name(key, getattr(self, key), names))
        if self.head_dim is None and self.width % self.heads:
            raise ValueError(
                f"a width of {self.width} cannot be shared evenly by {self.heads} heads; change one, or give head_dim."
            )
        if self.full_every is not None and self.window is None:
            raise ValueError("full_every says which layers have no window, but no window is given.")
        for fault in faults(self._config(self.vocab_size or VOCABULARY_GRAIN, 1, None, ())):
            raise ValueError(fault)
        return self

    def to_config(self, vocab_size: int, max_length: int, bos_id: int | None, eos_ids: tuple[int, ...]) -> ModelConfig:
        """The configuration for a tokenizer of `vocab_size` tokens and sequences of at most `max_length`.

        Raises:
            TrainingError: fewer rows in the embedding than tokens, or positions that do not reach so far.
        """
        config = self._config(rows_for(self.vocab_size, vocab_size), max_length, bos_id, eos_ids)
        for fault in faults(config):
            raise TrainingError(f"model: {fault}")
        return config

    def _config(self, rows: int, max_length: int, bos_id: int | None, eos_ids: tuple[int, ...]) -> ModelConfig:
        return ModelConfig(
            vocab_size=rows,
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            kv_heads=self.kv_heads or self.heads,
            head_dim=self.head_dim or self.width // self.heads,
            ffn_width=self.ffn_width or inner_width(self.feed_forward, self.width),
            norm=self.norm,
            norm_epsilon=self.norm_epsilon,
            residual=self.residual,
            feed_forward=self.feed_forward,
            ffn_bias=self.biases == "all",
            experts=self.experts,
            experts_per_token=self.experts_per_token,
            embedding_norm=self.embedding_norm,
            positions=self.positions,
            rope_theta=self.rope_theta,
            rope_scaling=None if self.rope_scaling is None else self.rope_scaling.to_scaling(),
            rotary_dim=self.rotary_dim,
            qkv_bias=self.biases != "none",
            output_bias=self.biases in ("attention", "all"),
            qk_norm=self.qk_norm,
            windows=self._windows(),
            tied_embeddings=self.tied_embeddings,
            max_length=max_length,
            bos_id=bos_id,
            eos_ids=eos_ids,
        )

    def _windows(self) -> tuple[int | None, ...]:
        if self.window is None:
            return ()
        every = self.full_every
        return tuple(
            None if every is not None and (layer + 1) % every == 0 else self.window for layer in range(self.layers)
        )


def rows_for(given: int | None, tokens: int) -> int:
    """Rows of the embedding for a tokenizer of so many tokens.

    Raises:
        TrainingError: fewer are given than it has tokens.
    """
    rows = given or tokens + -tokens % VOCABULARY_GRAIN
    if rows < tokens:
        raise TrainingError(
            f"model: vocab_size is {rows}, but the tokenizer has {tokens} tokens; give at least as many, or leave it "
            "out."
        )
    return rows


def inner_width(feed_forward: str, width: int) -> int:
    """Size between the halves of a feed-forward layer that has about 8 ``width^2`` weights."""
    if feed_forward not in GATED:
        return 4 * width
    wanted = -(-8 * width // 3)
    return wanted + -wanted % 64
