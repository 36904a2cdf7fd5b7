"""Incremental text against the text of all tokens at once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from evalharness.stack.engine.text import TextStream


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """One token a byte: every character beyond ASCII spans tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({letter: id for id, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def run(tokenizer: Tokenizer, text: str, stop: list[str]):
    stream = TextStream(tokenizer.decode, stop)
    for number, id in enumerate(tokenizer.encode(text).ids):
        if stream.push(id):
            return number + 1, *stream.finish()
    return None, *stream.finish()


letters = st.text(alphabet="ab.é🙂\n", max_size=20)


@settings(max_examples=300, deadline=None)
@given(text=letters, stop=st.lists(st.text(alphabet="ab.é🙂\n", min_size=1, max_size=3), max_size=3))
def test_stops_at_the_token_that_completes_the_first_stop_string(tokenizer, text, stop):
    stopped, found, which = run(tokenizer, text, stop)
    ends = [text.find(each) + len(each) for each in stop if each in text]
    if not ends:
        assert (stopped, found, which) == (None, text, None)
        return
    seen = text[: min(ends)]
    assert stopped == len(seen.encode())
    assert which in stop
    assert seen == found + which or seen.startswith(found + which)
    assert not any(each in found for each in stop)


def test_bytes_that_are_no_text_do_not_hide_a_stop_string(tokenizer):
    ids = [*tokenizer.encode("é").ids[:1] * 5, *tokenizer.encode("a##b").ids]
    stream = TextStream(tokenizer.decode, ["##"])
    assert [stream.push(id) for id in ids].index(True) == 7
    assert stream.finish() == ("\N{REPLACEMENT CHARACTER}" * 5 + "a", "##")
