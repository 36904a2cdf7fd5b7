"""What a Mamba looks like, told apart from its weights."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class MambaConfig:
    """A Mamba (Gu and Dao 2023, arXiv:2312.00752); the defaults are those of the published models."""

    architecture: str = "mamba"
    """Family by its Hugging Face ``model_type``."""
    vocab_size: int
    """Rows of the embedding."""
    width: int
    """Size of the hidden state (``hidden_size``)."""
    layers: int
    """Number of blocks."""
    expand: int = 2
    """The inner width as a multiple of `width` (the paper's E)."""
    state_size: int = 16
    """Numbers of state of each inner channel (the paper's N)."""
    kernel: int = 4
    """Tokens that the convolution sees, the current one included."""
    time_step_rank: int
    """Numbers from which the step lengths of all inner channels are computed (the paper's R)."""
    biases: bool = False
    """Biases on the projections into and out of the inner width."""
    kernel_bias: bool = True
    """A bias on the convolution."""
    norm_epsilon: float = 1e-5
    """Added to the mean square in every norm."""
    residual_fp32: bool = True
    """Whether the residual stream is kept in fp32, whatever the dtype of the weights."""
    tied_embeddings: bool = True
    """Whether the vocabulary projection is the embedding matrix."""
    max_length: int
    """Longest sequence that the model was made for, in tokens; nothing in the model itself ends there."""
    bos_id: int | None = None
    """Token that begins a text."""
    eos_ids: tuple[int, ...] = ()
    """Tokens that end a generation."""

    @property
    def inner_width(self) -> int:
        """Channels of the convolution and of the state space."""
        return self.expand * self.width
