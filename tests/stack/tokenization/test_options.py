"""Options that contradict each other are refused in a sentence; what is left out has a value that fits the kind."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from evalharness.stack.tokenization.options import TokenizerOptions


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "bytes", "vocab_size": 300}, "bytes has 257 tokens"),
        ({"kind": "byte_bpe", "byte_fallback": True}, "byte_fallback is for bpe and unigram"),
        ({"kind": "wordpiece", "max_token_length": 5}, "max_token_length is for byte_bpe, bpe and unigram"),
        ({"kind": "byte_bpe", "unk_token": "<unk>"}, "byte_bpe knows every byte"),
        ({"add_bos": True}, "add_bos needs a bos_token"),
        ({"special_tokens": ("",)}, "a special token is empty"),
        ({"bos_token": "<|endoftext|>"}, r"'<\|endoftext\|>' is given twice"),
        ({"kind": "bpe", "special_tokens": ("<unk>",)}, "'<unk>' is given twice"),
        ({"vocab_size": 0}, "greater than or equal to 1"),
        ({"vocabsize": 5}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TokenizerOptions(**values)


def test_special_tokens_in_the_order_of_their_ids() -> None:
    options = TokenizerOptions(kind="unigram", bos_token="<s>", pad_token="<p>", special_tokens=("<x>",))
    assert options.all_special_tokens == ["<unk>", "<s>", "<|endoftext|>", "<p>", "<x>"]
    assert TokenizerOptions(kind="wordpiece", eos_token=None).named_special_tokens == {"unk_token": "[UNK]"}


def test_the_size_that_is_asked_for() -> None:
    assert TokenizerOptions().tokens == 8192
    assert TokenizerOptions(kind="bytes").tokens == TokenizerOptions(kind="bytes", vocab_size=257).tokens == 257
