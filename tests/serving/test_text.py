"""A streamed text is the whole text, whatever it is cut into."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers_for_tests import text_tokenizer

from evalharness.serving.text import Decode, StreamedText, TokenTexts


def of_bytes(ids: Sequence[int]) -> str:
    """A token is a byte."""
    return bytes(ids).decode(errors="replace")


def said(decode: Decode, ids: Sequence[int], stop: Sequence[str]) -> str:
    """What an engine makes of tokens: it ends with the one that completes a stop string, and cuts before that."""
    for count in range(len(ids) + 1):
        text = decode(ids[:count])
        if places := [text.find(one) for one in stop if one in text]:
            return text[: min(places)]
    return decode(ids)


def streamed(stream: StreamedText, groups: Sequence[Sequence[int]], whole: str) -> list[str]:
    """All pieces, the last one being what is left at the end. What is sent is never taken back."""
    pieces: list[str] = []
    for ids in groups:
        stream.push(ids)
        pieces.append(stream.take())
        assert whole.startswith("".join(pieces))
    return [*pieces, stream.rest(whole)]


letters = st.sampled_from("ab é€😀".encode())
groups = st.lists(st.lists(letters, max_size=4), max_size=30)
stops = st.lists(st.text("ab é€", min_size=1, max_size=4), max_size=3)


@given(groups, stops)
def test_the_pieces_are_the_text(groups: list[list[int]], stop: list[str]) -> None:
    whole = said(of_bytes, [id for ids in groups for id in ids], stop)
    pieces = streamed(StreamedText(of_bytes, stop, "lead a"), groups, "lead a" + whole)
    assert "".join(pieces) == "lead a" + whole


@given(st.text(max_size=60), stops)
def test_the_pieces_of_real_tokens_are_the_text(text: str, stop: list[str]) -> None:
    tokenizer = text_tokenizer()
    ids = tokenizer.encode(text)
    whole = said(tokenizer.decode, ids, stop)
    assert "".join(streamed(StreamedText(tokenizer.decode, stop), [[id] for id in ids], whole)) == whole


def test_a_character_comes_whole() -> None:
    stream = StreamedText(of_bytes, ())
    pieces = streamed(stream, [[byte] for byte in "a€b".encode()], "a€b")
    assert pieces == ["a", "", "", "€", "b", ""]


def test_what_may_begin_a_stop_string_waits() -> None:
    stream = StreamedText(of_bytes, ["\nQ:"])
    assert streamed(stream, [b"yes", b"\n", b"Q", b"uite", b"\nQ:", b"x"], "yes\nQuite") == [
        "yes", "", "", "\nQuite", "", "", ""
    ]  # fmt: skip


def test_the_first_stop_string_that_is_complete_cuts() -> None:
    assert streamed(StreamedText(of_bytes, ["cd", "bc"]), [b"abcd"], "a") == ["a", ""]
    assert streamed(StreamedText(of_bytes, ["bcd", "c"]), [b"abcd"], "ab") == ["ab", ""]


def test_a_stop_string_in_the_lead_does_not_count() -> None:
    stream = StreamedText(of_bytes, ["b"], "abc")
    assert streamed(stream, [b"x", b"b"], "abcx") == ["abcx", "", ""]


@pytest.mark.parametrize("text", ["Zoë läuft", "a  b", "€uro — “so”"])
def test_the_texts_of_tokens_are_the_text(text: str) -> None:
    tokenizer = text_tokenizer()
    texts = TokenTexts(tokenizer.decode)
    assert "".join(texts.push(id) for id in tokenizer.encode(text)) == text


def test_a_token_is_spelled_where_it_stands() -> None:
    def decode(ids: Sequence[int]) -> str:
        """As the decoders of SentencePiece do: the space before the first word is taken away."""
        return "".join([" one", " two"][id] for id in ids).removeprefix(" ")

    texts = TokenTexts(decode)
    assert (texts.next(1), texts.push(0), texts.next(1), texts.push(1)) == ("two", "one", " two", " two")
