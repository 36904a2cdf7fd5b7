"""Tokenizers of each kind: size, round trip, special tokens, and that they do not depend on chance."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from e2e.command import environment
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stack.tokenization.small_texts import TEXT, text_file, trained

from evalharness.stack.errors import CheckpointError, TextFileError, TokenizerError
from evalharness.stack.tokenization.folder import CARD, write_trained
from evalharness.stack.tokenization.options import TokenizerOptions
from evalharness.stack.tokenization.text import TextTokenizer, from_folder
from evalharness.stack.tokenization.text_reading import Reading
from evalharness.stack.tokenization.train import train

EOS = "<|endoftext|>"
LOSSLESS: tuple[dict[str, Any], ...] = (
    {"kind": "bytes"},
    {"kind": "byte_bpe"},
    {"kind": "byte_bpe", "digits": "single"},
    {"kind": "byte_bpe", "digits": "threes", "bos_token": "<s>", "add_bos": True},
    {"kind": "bpe", "byte_fallback": True},
    {"kind": "unigram", "byte_fallback": True, "digits": "single"},
)
KINDS = (*LOSSLESS, {"kind": "bpe"}, {"kind": "unigram"}, {"kind": "wordpiece", "digits": "threes"})


def named(options: dict[str, Any]) -> str:
    return "-".join(str(value) for value in options.values())


@cache
def learned(**options: Any) -> TextTokenizer:
    if options["kind"] != "bytes":
        options["vocab_size"] = 600
    with TemporaryDirectory() as folder:
        return trained(Path(folder), **options)


@pytest.mark.parametrize("options", KINDS, ids=named)
def test_the_vocabulary_has_the_size_that_was_asked_for(options: dict[str, Any]) -> None:
    vocabulary = learned(**options).tokenizer.get_vocab()
    assert sorted(vocabulary.values()) == list(range(600 if options["kind"] != "bytes" else 257))


@pytest.mark.parametrize("options", KINDS, ids=named)
def test_what_was_learned_from_is_told_in_fewer_tokens_than_bytes(options: dict[str, Any]) -> None:
    tokens, size = len(learned(**options).encode(TEXT)), len(TEXT.encode())
    assert tokens == size if options["kind"] == "bytes" else 4 * tokens < 2 * size


# A text that spells a special token becomes that token, which is left out when decoding; U+2581 is how vocabularies of
# characters write a space.
texts = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: EOS not in text and "<s>" not in text)


@pytest.mark.parametrize("options", LOSSLESS, ids=named)
@settings(derandomize=True, max_examples=40)
@given(text=texts)
@example(text="  two  spaces \n\n\r\n\tand tabs ")
@example(text="<0x41> <0xFF> ##x <s <|endoftext")
@example(text="e\u0301 \ufdfa \U0001f469\u200d\U0001f52c \x00\ufffd\uffff")
def test_any_text_comes_back(options: dict[str, Any], text: str) -> None:
    if options["kind"] in ("bpe", "unigram"):
        text = text.replace("▁", "_")
    tokenizer = learned(**options)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode_batch([text, text]) == [tokenizer.encode(text)] * 2


@settings(derandomize=True, max_examples=40)
@given(text=texts)
def test_the_ids_of_bytes_are_the_bytes(text: str) -> None:
    assert learned(kind="bytes").encode(text) == list(text.encode())


@settings(derandomize=True, max_examples=30)
@given(before=texts, after=texts)
def test_a_text_that_spells_a_special_token_becomes_it(before: str, after: str) -> None:
    tokenizer = learned(kind="byte_bpe")
    whole = f"{before}{EOS}{after}"
    assert tokenizer.encode(whole) == [*tokenizer.encode(before), tokenizer.eos_id, *tokenizer.encode(after)]
    assert tokenizer.decode(tokenizer.encode(whole)) == before + after


def test_what_vocabularies_of_characters_lose() -> None:
    """As documented: characters that were not learned, U+2581, and with WordPiece the white space."""
    bpe = learned(kind="bpe")
    assert bpe.decode(bpe.encode("Bache mi: 日 “so”")) == "Bache mi:  “so”"
    assert bpe.decode(bpe.encode("mi▁so")) in ("mi so", "miso")
    wordpiece = learned(kind="wordpiece", digits="threes")
    assert wordpiece.decode(wordpiece.encode("Bache  mi:\n1234")) == "Bache mi : 123 4"


@pytest.mark.parametrize("kind", ["byte_bpe", "bpe", "unigram", "wordpiece"])
def test_digits(kind: str) -> None:
    def numbers(digits: str) -> list[str]:
        tokens = learned(kind=kind, digits=digits).tokenizer.encode("fo 777 and 12345").tokens
        return [found for token in tokens if any(map(str.isdigit, found := token.strip("Ġ▁# ")))]

    assert numbers("single") == list("77712345")
    assert all(len(token) <= 3 for token in numbers("threes"))
    assert "".join(numbers("threes")) == "".join(numbers("together")) == "77712345"


@pytest.mark.parametrize("kind", ["byte_bpe", "bpe", "unigram", "wordpiece"])
@pytest.mark.parametrize("run", ["a", "日", "7", "=", " ", "\n"])
def test_no_word_is_longer_than_64_characters(kind: str, run: str) -> None:
    """A merge passes over whole words: a text without spaces would take for ever."""
    cut = learned(kind=kind).tokenizer.pre_tokenizer
    assert cut is not None
    words = [end - begin for _, (begin, end) in cut.pre_tokenize_str("x " + run * 1000 + " y")]
    assert max(words) <= 65  # with the space before it
    assert len(words) >= (16 if kind != "wordpiece" or run.strip() else 2)


def test_normalisation_is_what_it_says(tmp_path: Path) -> None:
    def back(text: str, **options: Any) -> str:
        tokenizer = trained(tmp_path, vocab_size=300, **options)
        return tokenizer.decode(tokenizer.encode(text))

    assert back("e\u0301", normalization="nfc") == "é"
    assert back("é", normalization="nfd") == "e\u0301"
    assert back("ﬁ²", normalization="nfkc") == "fi2"
    assert back("É Ärger", strip_accents=True, lowercase=True) == "e arger"
    assert back("ﬁÉ", strip_accents=True, normalization="nfkd") == "fiE"


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"kind": "byte_bpe"}, 257),
        ({"kind": "bpe"}, len(set(TEXT)) + 2),
        ({"kind": "bpe", "byte_fallback": True}, len(set(TEXT)) + 258),
        ({"kind": "unigram"}, len(set(TEXT)) + 2),
    ],
    ids=str,
)
def test_a_vocabulary_smaller_than_its_alphabet(tmp_path: Path, options: dict[str, Any], size: int) -> None:
    with pytest.raises(
        TokenizerError, match=f"smaller than its alphabet, which takes {size} .* set vocab_size to {size}"
    ):
        trained(tmp_path, vocab_size=size - 1, **options)
    assert trained(tmp_path, vocab_size=size, **options).tokenizer.get_vocab_size() == size


def test_a_wordpiece_vocabulary_smaller_than_its_alphabet(tmp_path: Path) -> None:
    """Letters that begin words and letters that continue them: a, ##a, b, ##b, the unknown token and EOS."""
    with pytest.raises(TokenizerError, match="which takes 6 with the special"):
        trained(tmp_path, "ab ba aa bb", kind="wordpiece", vocab_size=5)
    vocabulary = trained(tmp_path, "ab ba aa bb", kind="wordpiece", vocab_size=6).tokenizer.get_vocab()
    assert set(vocabulary) == {"[UNK]", EOS, "a", "b", "##a", "##b"}


@pytest.mark.parametrize("kind", ["byte_bpe", "bpe", "wordpiece", "unigram"])
def test_nothing_to_learn_from(tmp_path: Path, kind: str) -> None:
    with pytest.raises(TokenizerError, match="every text is empty"):
        trained(tmp_path, "", kind=kind)


def test_a_fault_of_a_text_is_said_as_it_is(tmp_path: Path) -> None:
    """Errors pass through the library that reads the texts."""
    (tmp_path / "x.txt").write_bytes(b"\xff")
    file = text_file(tmp_path)
    broken = type(file)(tmp_path / "x.txt", "x.txt", "x")
    for kind in ("byte_bpe", "wordpiece", "unigram", "bytes"):
        with pytest.raises(TextFileError, match="line 1, byte 1"):
            train([file, broken], TokenizerOptions(kind=kind))  # type: ignore[arg-type]


def test_a_chat_template_that_is_no_template(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="the chat template is not valid, line 2"):
        train([text_file(tmp_path)], TokenizerOptions(vocab_size=300), chat_template="fine\n{% if %}")


# --------------------------------------------------------------------------- folders


@pytest.mark.parametrize(
    "options",
    [
        *KINDS,
        {"kind": "byte_bpe", "bos_token": "<a: b>", "pad_token": "<pad>", "special_tokens": ("<x>",), "add_bos": 1},
    ],
    ids=named,
)
def test_transformers_gives_the_same_ids(tmp_path: Path, options: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers")
    if options["kind"] != "bytes":
        options = {**options, "vocab_size": 600}
    asked, file = TokenizerOptions(**options), text_file(tmp_path)
    made = train([file], asked, chat_template="{{ messages[0].content }}{{ eos_token }}")
    write_trained(tmp_path / "out", made, [file], asked, Reading(), "1")
    ours, theirs = from_folder(tmp_path / "out"), transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert ours.fingerprint == made.tokenizer.fingerprint
    for text in (TEXT[:2000], "日本 <0x41> ▁ 🙂  naïve\r\n", f"one{EOS} two<x>", ""):
        ids = ours.encode(text)
        assert theirs.encode(text, add_special_tokens=False) == ids
        first = [ours.bos_id] if ours.add_bos else []
        assert theirs.encode(text) == [*first, *ids]
        assert theirs.decode(ids, skip_special_tokens=True) == ours.decode(ids)
    assert (theirs.bos_token_id, theirs.eos_token_id) == (ours.bos_id, ours.eos_id)
    assert theirs.pad_token == asked.pad_token
    assert theirs.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False) == f"Hi{EOS}"


def test_the_card(tmp_path: Path) -> None:
    file = text_file(tmp_path)
    asked = TokenizerOptions(vocab_size=400, special_tokens=("<x>",))
    made = train([file], asked)
    write_trained(tmp_path / "out", made, [file], asked, Reading(), "1.2")
    card = json.loads((tmp_path / "out" / CARD).read_text())
    [given] = card["inputs"]
    assert given["sha256"] == hashlib.sha256(TEXT.encode()).hexdigest()
    assert (given["characters"], given["bytes"], given["documents"]) == (len(TEXT), len(TEXT.encode()), 1)
    assert card["totals"]["characters"] == len(TEXT)
    assert card["vocabulary"] == {"asked": 400, "size": 400, "special_tokens": {EOS: 0, "<x>": 1}}
    assert card["options"] == asked.model_dump(mode="json")
    assert card["versions"]["evalharness"] == "1.2"
    assert card["fingerprint"] == from_folder(tmp_path / "out").fingerprint
    with pytest.raises(CheckpointError, match="out exists already"):
        write_trained(tmp_path / "out", made, [file], asked, Reading(), "1.2")


PROGRAM = """
import sys
from pathlib import Path
from evalharness.stack.tokenization.folder import write_trained
from evalharness.stack.tokenization.options import TokenizerOptions
from evalharness.stack.tokenization.text_files import find_text_files
from evalharness.stack.tokenization.text_reading import Reading
from evalharness.stack.tokenization.train import train

files = find_text_files([sys.argv[1]])
for kind in ("byte_bpe", "bpe", "wordpiece", "unigram", "bytes"):
    options = TokenizerOptions(kind=kind, vocab_size=None if kind == "bytes" else 500)
    write_trained(Path(sys.argv[2]) / kind, train(files, options), files, options, Reading(), "1")
"""


def test_other_processes_write_the_same_bytes(tmp_path: Path) -> None:
    """The library's hash tables are in another order in every process, and with more threads."""
    (tmp_path / "texts").mkdir()
    text_file(tmp_path / "texts")
    written = []
    for number, parallel in enumerate(("true", "false", "true")):
        target = tmp_path / str(number)
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "texts"), str(target)],
            env=environment(TOKENIZERS_PARALLELISM=parallel),
            check=True,
        )
        files = sorted(path for path in target.rglob("*") if path.is_file())
        written.append({str(path.relative_to(target)): path.read_bytes() for path in files})
    assert len(written[0]) == 15
    assert written[0] == written[1] == written[2]
