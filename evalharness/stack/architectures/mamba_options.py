"""The section `model` of a pretraining's YAML for a Mamba: how large it is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from evalharness.stack.architectures.mamba_config import MambaConfig
from evalharness.stack.architectures.options import rows_for
from evalharness.stack.corpus.options import Section


class MambaOptions(Section):
    """Sizes; the defaults are those of the published models."""

    architecture: Literal["mamba"]
    layers: int = Field(ge=1)
    width: int = Field(ge=1)
    """Size of the hidden state."""
    expand: int = Field(default=2, ge=1)
    """The inner width as a multiple of `width`."""
    state_size: int = Field(default=16, ge=1)
    """Numbers of state of each inner channel."""
    kernel: int = Field(default=4, ge=1)
    """Tokens that the convolution sees, the current one included."""
    time_step_rank: int | None = Field(default=None, ge=1)
    """Numbers from which the step lengths of all inner channels are computed; ``width / 16``, rounded up, unless
    given."""
    norm_epsilon: float = Field(default=1e-5, gt=0, allow_inf_nan=False)
    """Added to the mean square in every norm."""
    tied_embeddings: bool = True
    """Whether the vocabulary projection is the embedding matrix."""
    vocab_size: int | None = Field(default=None, ge=1)
    """Rows of the embedding; the tokenizer's size rounded up to a multiple of 64 unless given."""
    initial_deviation: float = Field(default=0.02, gt=0, allow_inf_nan=False)
    """Of the embedding that a training begins with (`architectures.mamba_initial` has all else)."""

    def to_config(self, vocab_size: int, max_length: int, bos_id: int | None, eos_ids: tuple[int, ...]) -> MambaConfig:
        """The configuration for a tokenizer of `vocab_size` tokens, trained on sequences of `max_length`.

        Raises:
            TrainingError: fewer rows in the embedding than tokens.
        """
        return MambaConfig(
            vocab_size=rows_for(self.vocab_size, vocab_size),
            width=self.width,
            layers=self.layers,
            expand=self.expand,
            state_size=self.state_size,
            kernel=self.kernel,
            time_step_rank=self.time_step_rank or -(-self.width // 16),
            norm_epsilon=self.norm_epsilon,
            tied_embeddings=self.tied_embeddings,
            max_length=max_length,
            bos_id=bos_id,
            eos_ids=eos_ids,
        )
