"""What an encoder-decoder looks like, told apart from its weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderDecoderConfig:
    """An encoder-decoder with relative positions (T5: Raffel et al. 2020, arXiv:1910.10683)."""

    architecture: str = "t5"
    """Family by its Hugging Face ``model_type``."""
    vocab_size: int
    """Rows of the embedding, which encoder and decoder share."""
    width: int
    """Size of the hidden state (``d_model``)."""
    encoder_layers: int
    decoder_layers: int
    heads: int
    """Heads of every attention; none are shared."""
    head_dim: int
    """Size of one head (``d_kv``); not always ``width / heads``."""
    ffn_width: int
    """Size between the two halves of the feed-forward layer (``d_ff``)."""
    feed_forward: str = "relu"
    """A name of `layers.feedforward.FEED_FORWARDS`: ``relu`` in T5 v1.0, ``geglu_tanh`` in v1.1 and Flan-T5."""
    norm_epsilon: float = 1e-6
    """Added to the mean square in every norm."""
    buckets: int = 32
    """Distances that a head has a number for; of the encoder half of them look back and half ahead."""
    farthest: int = 128
    """From this distance on, all are in one bucket (``relative_attention_max_distance``)."""
    tied_embeddings: bool = True
    """Whether the vocabulary projection is the embedding matrix (v1.0)."""
    scaled_outputs: bool = True
    """Whether what it is multiplied by is first divided by ``sqrt(width)`` (v1.0)."""
    start_id: int = 0
    """Token that the decoder is fed first (``decoder_start_token_id``)."""
    pad_id: int | None = 0
    """Token that fills rows of a batch."""
    max_length: int = 512
    """Longest sequence that encoder and decoder were made for, in tokens each; relative positions reach further."""
    bos_id: int | None = None
    """Token that begins a text."""
    eos_ids: tuple[int, ...] = (1,)
    """Tokens that end a generation."""


def faults(config: EncoderDecoderConfig) -> Iterator[str]:
    """What is wrong with a configuration, a sentence each."""
    if config.buckets < 4:
        yield f"{config.buckets} buckets of distances cannot be halved twice; give at least 4."
    elif config.farthest <= config.buckets // 2:
        yield (
            f"the farthest distance is {config.farthest}, but the decoder has a bucket for each up to "
            f"{config.buckets // 2}; give a greater one, or fewer buckets."
        )
    for name in ("start_id", "pad_id"):
        id = getattr(config, name)
        if id is not None and not 0 <= id < config.vocab_size:
            yield f"{name} is {id}, which is no token of a vocabulary of {config.vocab_size}."
