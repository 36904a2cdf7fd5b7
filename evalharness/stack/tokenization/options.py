"""What a tokenizer is to be: its kind, its vocabulary, how texts are normalised and cut, its special tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["byte_bpe", "bpe", "wordpiece", "unigram", "bytes"]
Normalization = Literal["none", "nfc", "nfd", "nfkc", "nfkd"]
Digits = Literal["together", "single", "threes"]

DEFAULT_VOCAB_SIZE = 8192
DEFAULT_UNKNOWN: Mapping[Kind, str] = {"bpe": "<unk>", "unigram": "<unk>", "wordpiece": "[UNK]"}
"""The unknown token of the kinds that cannot do without one."""


class TokenizerOptions(BaseModel):
    """Everything that decides a tokenizer beside the texts that it is learned from."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    kind: Kind = "byte_bpe"
    """BPE over bytes or characters (Sennrich et al. 2016), WordPiece (Schuster and Nakajima 2012), Unigram (Kudo 2018),
    or the 256 bytes alone."""
    vocab_size: int | None = Field(default=None, ge=1)
    """Tokens in all, special ones included; 8,192 unless given. `bytes` has 256 and its special tokens."""
    min_frequency: int = Field(default=2, ge=1)
    """How often a pair must occur to be merged (`byte_bpe`, `bpe`, `wordpiece`)."""
    max_token_length: int | None = Field(default=None, ge=1)
    """The longest token: bytes for `byte_bpe`, characters for `bpe` and `unigram` (16 unless given)."""
    byte_fallback: bool = False
    """`bpe` and `unigram`: 256 byte tokens stand in for characters that are not in the vocabulary."""
    normalization: Normalization = "none"
    """The Unicode normal form that a text is brought to first (Unicode Standard Annex #15)."""
    lowercase: bool = False
    strip_accents: bool = False
    """Leave out combining marks; the text is brought to NFD for it where no decomposed form is asked for."""
    digits: Digits = "together"
    """A number is one word, or is cut into single digits, or from its left into groups of up to three."""
    bos_token: str | None = None
    eos_token: str | None = "<|endoftext|>"
    pad_token: str | None = None
    unk_token: str | None = None
    """Needed by `bpe`, `unigram` (``<unk>`` unless given) and `wordpiece` (``[UNK]``); of no use to the others."""
    special_tokens: tuple[str, ...] = ()
    """Further special tokens: those of a chat template, say."""
    add_bos: bool = False
    """Whether a text begins with `bos_token`."""

    @model_validator(mode="after")
    def _consistent(self) -> TokenizerOptions:
        if self.kind == "bytes" and self.vocab_size not in (None, self.tokens):
            raise ValueError(f"bytes has {self.tokens} tokens, the special ones included; leave vocab_size out.")
        if self.byte_fallback and self.kind not in ("bpe", "unigram"):
            raise ValueError(f"byte_fallback is for bpe and unigram; {self.kind} has no use for it.")
        if self.max_token_length is not None and self.kind in ("wordpiece", "bytes"):
            raise ValueError(f"max_token_length is for byte_bpe, bpe and unigram; leave it out for {self.kind}.")
        if self.unk_token is not None and self.kind in ("byte_bpe", "bytes"):
            raise ValueError(f"unk_token: {self.kind} knows every byte, so it needs no unknown token; leave it out.")
        if self.add_bos and self.bos_token is None:
            raise ValueError("add_bos needs a bos_token; name one.")
        specials = self.all_special_tokens
        if "" in specials:
            raise ValueError("a special token is empty; give it a text.")
        if doubled := next((token for token in specials if specials.count(token) > 1), None):
            raise ValueError(f"the special token '{doubled}' is given twice; give each role a text of its own.")
        return self

    @property
    def unknown(self) -> str | None:
        """The unknown token, given or the kind's own."""
        return self.unk_token or DEFAULT_UNKNOWN.get(self.kind)

    @property
    def named_special_tokens(self) -> dict[str, str]:
        """``unk_token``, ``bos_token``, ... to their texts, in the order of their ids."""
        named = {"unk_token": self.unknown, "bos_token": self.bos_token}
        named |= {"eos_token": self.eos_token, "pad_token": self.pad_token}
        return {name: text for name, text in named.items() if text is not None}

    @property
    def all_special_tokens(self) -> list[str]:
        """Every special token in the order of their ids: unknown, BOS, EOS, padding, further ones."""
        return [*self.named_special_tokens.values(), *self.special_tokens]

    @property
    def tokens(self) -> int:
        """The size of vocabulary that is asked for."""
        if self.kind == "bytes":
            return 256 + len(self.all_special_tokens)
        return self.vocab_size or DEFAULT_VOCAB_SIZE
