"""What a decoder looks like, told apart from its weights."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearScaling:
    """Position interpolation (Chen et al. 2023, arXiv:2306.15595): every position is divided by `factor`."""

    factor: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Llama3Scaling:
    """Llama 3.1's scaling: slow rotations are divided by `factor`, fast ones kept, those between blended."""

    factor: float
    low_frequency_factor: float = 1.0
    """Rotations with fewer turns than this over the original length are divided by `factor`."""
    high_frequency_factor: float = 4.0
    """Rotations with more turns than this over the original length are left alone."""
    original_length: int = 8192
    """Length of the sequences that the model was first trained on."""


RopeScaling = LinearScaling | Llama3Scaling


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """A causal decoder of the Llama family: pre-norm, rotary positions, grouped-query attention, gated feed-forward."""

    architecture: str
    """Family by its Hugging Face ``model_type``: ``llama``, ``mistral``, ``qwen2``, ``qwen3``."""
    vocab_size: int
    """Rows of the embedding."""
    width: int
    """Size of the hidden state (``hidden_size``)."""
    layers: int
    """Number of blocks."""
    heads: int
    """Query heads of a layer."""
    kv_heads: int
    """Key and value heads of a layer; each serves ``heads / kv_heads`` query heads."""
    head_dim: int
    """Size of one head; not always ``width / heads``."""
    ffn_width: int
    """Size between the two halves of the feed-forward layer (``intermediate_size``)."""
    norm_epsilon: float
    """Added to the mean square in every RMSNorm."""
    rope_theta: float
    """Base of the rotary frequencies."""
    rope_scaling: RopeScaling | None = None
    """How the rotary frequencies are stretched for long contexts."""
    qkv_bias: bool = False
    """Biases on the query, key and value projections (Qwen2)."""
    output_bias: bool = False
    """Bias on the output projection of attention."""
    qk_norm: bool = False
    """RMSNorm over each head of queries and keys before the rotation (Qwen3)."""
    windows: tuple[int | None, ...] = ()
    """Sliding window of each layer, in tokens with the current one; None attends to all. Empty: all layers None."""
    activation: str = "silu"
    """Gate of the feed-forward layer, a name of `evalharness.stack.layers.activations`."""
    tied_embeddings: bool = False
    """Whether the vocabulary projection is the embedding matrix."""
    max_length: int
    """Longest sequence that the model was made for, in tokens."""
    bos_id: int | None = None
    """Token that begins a text."""
    eos_ids: tuple[int, ...] = ()
    """Tokens that end a generation."""

    def window(self, layer: int) -> int | None:
        """Sliding window of a layer, or None for full attention."""
        return self.windows[layer] if self.windows else None
