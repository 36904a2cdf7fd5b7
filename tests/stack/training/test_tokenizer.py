"""A training finds the tokenizer that its corpus was made with, and takes no other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from stack.training.tiny_pretraining import corpus
from tokenizers_for_tests import EOS, text_tokenizer, trained

from evalharness.stack.corpus.options import PipelineOptions
from evalharness.stack.corpus.pipeline import build
from evalharness.stack.corpus.reading import Corpus, open_corpus
from evalharness.stack.errors import CorpusError, TrainingError
from evalharness.stack.tokenization.text import from_folder, write_tokenizer
from evalharness.stack.training.tokenizer import byte_tokenizer, training_tokenizer, with_special_tokens


@pytest.fixture
def made(tmp_path: Path) -> Corpus:
    """A corpus in `data/corpus` whose tokenizer lies in `data/words`."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "words").mkdir()
    trained().save(str(folder / "words" / "tokenizer.json"))
    (folder / "a.txt").write_text("The answer is 42.\n")
    values = {
        "output": "corpus",
        "tokenizer": "words",
        "end_token": EOS,
        "sources": [{"name": "a", "paths": ["a.txt"]}],
    }
    return open_corpus(build(PipelineOptions.model_validate(values), folder).folder)


def test_it_is_found_beside_the_corpus_and_ends_texts_as_the_corpus_does(made: Corpus, tmp_path: Path) -> None:
    found = training_tokenizer(None, tmp_path, made)
    assert found.encode("The answer") == text_tokenizer().encode("The answer")
    assert found.eos_id == made.end_id == trained().token_to_id(EOS)
    named = training_tokenizer("data/words", tmp_path, made)
    assert (named.eos_id, named.fingerprint) == (found.eos_id, found.fingerprint)


def test_it_may_have_gone(made: Corpus, tmp_path: Path) -> None:
    (tmp_path / "data" / "words").rename(tmp_path / "elsewhere")
    with pytest.raises(TrainingError, match=r"its tokenizer 'words' is not beside it or above it; name its folder"):
        training_tokenizer(None, tmp_path, made)
    assert training_tokenizer("elsewhere", tmp_path, made).eos_id == made.end_id


def test_another_by_the_same_name_is_none(made: Corpus, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data" / "words")
    (tmp_path / "data" / "words").mkdir()
    trained(words=False).save(str(tmp_path / "data" / "words" / "tokenizer.json"))
    with pytest.raises(TrainingError, match="is not beside it or above it"):
        training_tokenizer(None, tmp_path, made)
    with pytest.raises(CorpusError, match=r"made with the tokenizer 'words', which is not the model's"):
        training_tokenizer("data/words", tmp_path, made)


def test_bytes(tmp_path: Path) -> None:
    bytes_corpus = open_corpus(corpus(tmp_path, texts=["Zoë <|endoftext|>\n"]) / "corpus")
    found = training_tokenizer(None, tmp_path, bytes_corpus)
    assert found.encode("Zoë ") == list("Zoë ".encode())
    assert found.eos_id == bytes_corpus.end_id == 256
    assert found.decode(list("Zoë\n".encode())) == "Zoë\n"
    assert byte_tokenizer().fingerprint == found.fingerprint


def test_special_tokens_are_added_behind_the_end(tmp_path: Path) -> None:
    before = byte_tokenizer()
    fingerprint = before.fingerprint
    extended, ids = with_special_tokens(before, ["<extra_id_0>", "[S]"])
    assert ids == {"<extra_id_0>": 257, "[S]": 258}
    assert extended.encode("a<extra_id_0>[S]") == [97, 257, 258]
    assert extended.decode([97, 257, 258, 98]) == "ab"
    assert extended.eos_id == 256
    assert before.encode("[S]") == list(b"[S]")
    assert before.fingerprint == fingerprint != extended.fingerprint
    # The same ones again change nothing.
    again, same = with_special_tokens(extended, ["[S]", "<extra_id_0>"])
    assert again is extended
    assert same == ids
    write_tokenizer(tmp_path, extended)
    assert from_folder(tmp_path).encode("a[S]") == [97, 258]


def test_special_tokens_must_not_be_tokens_of_texts() -> None:
    with pytest.raises(TrainingError, match="the tokenizer has 'a' as a token of ordinary texts; it must be a special"):
        with_special_tokens(byte_tokenizer(), ["[S]", "a"])
