"""What a decoder looks like, told apart from its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class AnyConfig(Protocol):
    """What the configuration of every model says, whatever it is made of."""

    @property
    def architecture(self) -> str: ...

    @property
    def vocab_size(self) -> int: ...

    @property
    def tied_embeddings(self) -> bool: ...

    @property
    def max_length(self) -> int: ...

    @property
    def bos_id(self) -> int | None: ...

    @property
    def eos_ids(self) -> tuple[int, ...]: ...


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


@dataclass(frozen=True, kw_only=True, slots=True)
class NTKScaling:
    """NTK-aware interpolation (bloc97 2023; Peng et al. 2023, arXiv:2309.00071, section 3.1): the base grows to
    ``theta * factor^(D / (D - 2))``, which divides the slowest rotation by `factor` and keeps the fastest."""

    factor: float


@dataclass(frozen=True, kw_only=True, slots=True)
class YarnScaling:
    """YaRN (Peng et al. 2023, arXiv:2309.00071): rotations are interpolated by their turns over the original length,
    and the scores of attention are sharpened by ``(0.1 ln(factor) + 1)^2``."""

    factor: float
    slow_turns: float = 1.0
    """Rotations with at most this many turns over the original length are divided by `factor` (the paper's alpha)."""
    fast_turns: float = 32.0
    """Rotations with at least this many turns are left alone (the paper's beta)."""
    original_length: int
    """Length of the sequences that the model was first trained on."""


RopeScaling = LinearScaling | NTKScaling | YarnScaling | Llama3Scaling


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """A causal decoder, made of parts that are chosen by name; the defaults are those of the Llama family."""

    architecture: str = "composed"
    """Family by its Hugging Face ``model_type`` (a name of `architectures.families.known`), whose layout its
    checkpoints have; ``composed`` for any other choice of parts."""
    vocab_size: int
    """Rows of the embedding."""
    width: int
    """Size of the hidden state (``hidden_size``)."""
    layers: int
    """Number of blocks."""
    heads: int
    """Query heads of a layer."""
    kv_heads: int
    """Key and value heads of a layer; each serves ``heads / kv_heads`` query heads: all are grouped-query attention,
    1 is multi-query, `heads` multi-head attention."""
    head_dim: int
    """Size of one head; not always ``width / heads``."""
    ffn_width: int
    """Size between the two halves of the feed-forward layer (``intermediate_size``)."""
    norm: str = "rms_norm"
    """A name of `layers.norms.NORMS`."""
    norm_epsilon: float
    """Added to the mean square or variance in every norm."""
    residual: str = "pre"
    """How a block adds to the stream and where it norms: a name of `architectures.blocks.BLOCKS`."""
    feed_forward: str = "swiglu"
    """A name of `layers.feedforward.FEED_FORWARDS`."""
    ffn_bias: bool = False
    """Biases in the feed-forward layer."""
    experts: int | None = None
    """Feed-forward layers of each block, of which a token passes through some (Mixtral); None: one, that all do."""
    experts_per_token: int = 2
    """How many of them a token passes through."""
    positions: str = "rope"
    """How positions are told apart: a name of `layers.positions.POSITIONS`."""
    rope_theta: float = 10_000.0
    """Base of the rotary frequencies (`rope`, `xpos`)."""
    rope_scaling: RopeScaling | None = None
    """How the rotary frequencies are stretched for long contexts."""
    rotary_dim: int | None = None
    """Numbers at the front of each head that are rotated; None rotates all (`rope`)."""
    qkv_bias: bool = False
    """Biases on the query, key and value projections (Qwen2)."""
    output_bias: bool = False
    """Bias on the output projection of attention."""
    qk_norm: bool = False
    """RMSNorm over each head of queries and keys before the rotation (Qwen3)."""
    windows: tuple[int | None, ...] = ()
    """Sliding window of each layer, in tokens with the current one; None attends to all. Empty: all layers None."""
    embedding_width: int | None = None
    """Size of a token's embedding, and of what the vocabulary projection is multiplied by, where it is not `width`: a
    matrix leads from it to the blocks, and one back (OPT-350m)."""
    embedding_norm: bool = False
    """A norm of the embedding before the first block (BLOOM)."""
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

    @property
    def stored_dim(self) -> int:
        """Numbers that a head's key and value each take in a cache: ALiBi adds some to each head."""
        return self.head_dim + (ALIBI_DIMS if self.positions in ("alibi", "alibi_rounded") else 0)


GATED = ("reglu", "geglu", "geglu_tanh", "swiglu")
"""Feed-forward layers with three matrices."""
PARTS = {
    "norm": ("layer_norm", "rms_norm"),
    "residual": ("pre", "post", "sandwich", "parallel", "parallel_two_norms", "deepnorm"),
    "feed_forward": ("relu", "gelu", "gelu_tanh", "swish", *GATED),
    "positions": ("none", "sinusoidal", "learned", "rope", "xpos", "alibi", "alibi_rounded"),
}
"""The names that a field of `ModelConfig` may have; here, so that a configuration is checked without torch."""
ALIBI_DIMS = 8
"""Numbers that ALiBi adds to a head: at most five of them are used, eight keep rows aligned for matrix products."""
