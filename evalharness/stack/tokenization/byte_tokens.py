"""Bytes as tokens: the characters that stand for them, the tokenizer of bytes alone, which ids are single bytes."""

from __future__ import annotations

import json
from functools import cache

from tokenizers import Tokenizer
from tokenizers.models import BPE


@cache
def byte_characters() -> tuple[str, ...]:
    """The visible character that stands for each byte in a byte-level vocabulary (GPT-2's table).

    A byte that is a visible character of Latin-1 stands for itself; the others are counted on from U+0100.
    """
    shown = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return tuple(chr(byte) if byte in shown else chr(next(others)) for byte in range(256))


def bytes_model() -> BPE:
    """The vocabulary of 256 bytes without a merge: the id of a byte is its value."""
    return BPE(vocab={character: byte for byte, character in enumerate(byte_characters())}, merges=[])


def fallback_tokens() -> list[str]:
    """SentencePiece's names of the bytes: ``<0x00>`` to ``<0xFF>``."""
    return [f"<0x{byte:02X}>" for byte in range(256)]


def single_byte_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """Ids that stand for one byte of a character of several bytes; ASCII is no part of one."""
    values = json.loads(tokenizer.to_str())
    if values["model"].get("byte_fallback"):
        names = fallback_tokens()[0x80:]
    elif "ByteLevel" in json.dumps(values["decoder"]):
        names = list(byte_characters()[0x80:])
    else:
        return frozenset()
    return frozenset(id for name in names if (id := tokenizer.token_to_id(name)) is not None)
