"""The section `model` of a pretraining's YAML for an encoder-decoder: T5's parts, and how large they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from evalharness.stack.architectures.composed import unknown_name
from evalharness.stack.architectures.encoder_decoder_config import EncoderDecoderConfig, faults
from evalharness.stack.architectures.families.t5 import FEED_FORWARDS
from evalharness.stack.architectures.options import VOCABULARY_GRAIN, inner_width, rows_for
from evalharness.stack.corpus.options import Section
from evalharness.stack.errors import TrainingError

T5_SMALL: dict[str, Any] = {"layers": 6, "width": 512, "heads": 8, "head_dim": 64, "ffn_width": 2048}
T5_BASE: dict[str, Any] = {"layers": 12, "width": 768, "heads": 12, "head_dim": 64, "ffn_width": 3072}
PRESETS: dict[str, dict[str, Any]] = {
    "t5-small": T5_SMALL,
    "t5-base": T5_BASE,
    "t5-v1.1-small": {**T5_SMALL, "layers": 8, "heads": 6, "ffn_width": 1024, "feed_forward": "geglu_tanh"}
    | {"tied_embeddings": False},
    "t5-v1.1-base": {**T5_BASE, "ffn_width": 2048, "feed_forward": "geglu_tanh", "tied_embeddings": False},
}
"""Models to start from by name: Raffel et al. 2020, section 3.7, and the later ones of the same project."""


class EncoderDecoderOptions(Section):
    """Sizes; the defaults are T5's. docs/model-stack.md has every part."""

    architecture: Literal["encoder_decoder"]
    preset: str | None = None
    """A name of `PRESETS`, which the other keys change."""
    layers: int = Field(ge=1)
    """Blocks of the decoder, and of the encoder unless `encoder_layers` says otherwise."""
    encoder_layers: int | None = Field(default=None, ge=1)
    width: int = Field(ge=1)
    """Size of the hidden state."""
    heads: int = Field(ge=1)
    """Of every attention."""
    head_dim: int | None = Field(default=None, ge=1)
    """Size of a head; ``width / heads`` unless given."""
    ffn_width: int | None = Field(default=None, ge=1)
    """Size between the halves of the feed-forward layer; ``4 width`` unless given, and for the gated ones, which have
    three matrices in place of two, ``8/3 width`` rounded up to a multiple of 64."""
    feed_forward: str = "relu"
    norm_epsilon: float = Field(default=1e-6, gt=0, allow_inf_nan=False)
    """Added to the mean square in every norm."""
    buckets: int = Field(default=32, ge=4)
    """Distances that a head has a number for."""
    farthest: int = Field(default=128, ge=1)
    """From this distance on, all are in one bucket."""
    tied_embeddings: bool = True
    """Whether the vocabulary projection is the embedding matrix, its inputs divided by ``sqrt(width)``."""
    vocab_size: int | None = Field(default=None, ge=1)
    """Rows of the embedding; the tokenizer's size rounded up to a multiple of 64 unless given."""
    initial_factor: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Times the deviations of the weights that a training begins with (`architectures.initial`)."""

    @model_validator(mode="before")
    @classmethod
    def _start_from_preset(cls, values: Any) -> Any:
        name = values.get("preset") if isinstance(values, Mapping) else None
        if not isinstance(name, str):
            return values
        if name not in PRESETS:
            raise ValueError(unknown_name("preset of encoder-decoders", name, PRESETS))
        return PRESETS[name] | dict(values)

    @model_validator(mode="after")
    def _go_together(self) -> EncoderDecoderOptions:
        names = list(FEED_FORWARDS.values())
        if self.feed_forward not in names:
            raise ValueError(unknown_name("feed_forward of encoder-decoders", self.feed_forward, dict.fromkeys(names)))
        if self.head_dim is None and self.width % self.heads:
            raise ValueError(
                f"a width of {self.width} cannot be shared evenly by {self.heads} heads; change one, or give head_dim."
            )
        for fault in faults(self._config(self.vocab_size or VOCABULARY_GRAIN, 1, None, ())):
            raise ValueError(fault)
        return self

    def to_config(
        self, vocab_size: int, max_length: int, bos_id: int | None, eos_ids: tuple[int, ...]
    ) -> EncoderDecoderConfig:
        """The configuration for a tokenizer of `vocab_size` tokens, and sequences of at most `max_length` on either
        side. The decoder begins with the end of a text, as that is what stands before one.

        Raises:
            TrainingError: fewer rows in the embedding than tokens, or the tokenizer has no end of a text.
        """
        if not eos_ids:
            raise TrainingError(
                "model: an encoder-decoder needs a tokenizer with an end of a text; name its EOS token."
            )
        return self._config(rows_for(self.vocab_size, vocab_size), max_length, bos_id, eos_ids)

    def _config(self, rows: int, max_length: int, bos_id: int | None, eos_ids: tuple[int, ...]) -> EncoderDecoderConfig:
        start = eos_ids[0] if eos_ids else 0
        return EncoderDecoderConfig(
            vocab_size=rows,
            width=self.width,
            encoder_layers=self.encoder_layers or self.layers,
            decoder_layers=self.layers,
            heads=self.heads,
            head_dim=self.head_dim or self.width // self.heads,
            ffn_width=self.ffn_width or inner_width(self.feed_forward, self.width),
            feed_forward=self.feed_forward,
            norm_epsilon=self.norm_epsilon,
            buckets=self.buckets,
            farthest=self.farthest,
            tied_embeddings=self.tied_embeddings,
            scaled_outputs=self.tied_embeddings,
            start_id=start,
            pad_id=start,
            max_length=max_length,
            bos_id=bos_id,
            eos_ids=eos_ids,
        )
