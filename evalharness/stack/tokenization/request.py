"""What `evalharness tokenizer train` is asked: a YAML, and flags that go before its keys."""

from __future__ import annotations

from pydantic import Field

from evalharness.stack.tokenization.options import TokenizerOptions
from evalharness.stack.tokenization.text_reading import Broken, Reading


class TrainingRequest(TokenizerOptions):
    """A tokenizer's options with the texts that it is learned from and the folder that it is written to."""

    inputs: tuple[str, ...] = ()
    """Files and folders of texts, each ``PATH`` or ``DOMAIN=PATH``."""
    output: str = Field(min_length=1)
    """The folder to write; it must be new or empty."""
    text_key: str = "text"
    """The key of JSON lines and the column of parquet that hold the text."""
    broken_utf8: Broken = "refuse"
    """Lines that are no UTF-8 end the command, are left out, or get U+FFFD in place of the broken bytes."""
    chat_template: str | None = None
    """A file with the chat template (jinja2)."""

    @property
    def tokenizer(self) -> TokenizerOptions:
        """What decides the tokenizer."""
        return TokenizerOptions(**{name: getattr(self, name) for name in TokenizerOptions.model_fields})

    @property
    def reading(self) -> Reading:
        """How the texts are read."""
        return Reading(self.text_key, self.broken_utf8)
