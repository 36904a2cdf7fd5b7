"""Learns a tokenizer from texts, by the `tokenizers` library."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import models, trainers

from evalharness.stack.errors import StackError, TokenizerError
from evalharness.stack.tokenization.byte_tokens import byte_characters, bytes_model, fallback_tokens
from evalharness.stack.tokenization.options import TokenizerOptions
from evalharness.stack.tokenization.parts import CONTINUED, add_special_tokens, special, tokenizer_around
from evalharness.stack.tokenization.text import TextTokenizer
from evalharness.stack.tokenization.text_files import TextFile
from evalharness.stack.tokenization.text_reading import Counts, Reading, pieces
from evalharness.stack.tokenization.unigram import settled

LONGEST_UNIGRAM_PIECE = 16


@dataclass(frozen=True, slots=True)
class Trained:
    """A tokenizer and what it was learned from."""

    tokenizer: TextTokenizer
    counts: tuple[Counts, ...]
    """Of each file, in the order of the files."""


def train(
    files: Sequence[TextFile],
    options: TokenizerOptions,
    reading: Reading | None = None,
    *,
    chat_template: str | None = None,
) -> Trained:
    """Learn a tokenizer. The same texts and options give the same tokenizer; of `unigram` see `settled`.

    Raises:
        TokenizerError: a vocabulary smaller than its alphabet, no text at all, a chat template that is not valid.
        TextFileError: a file that cannot be read as texts.
    """
    if chat_template is not None:
        _check_template(chat_template)
    corpus = _Corpus(files, reading or Reading(), options)
    if options.kind == "bytes":
        for _ in corpus.texts():
            pass
        model: models.Model = bytes_model()
    else:
        least = _fixed(options) + (256 if options.kind == "byte_bpe" else 1)
        if options.tokens < least:
            raise _too_small(options, least)
        learn = {"byte_bpe": _bpe, "bpe": _bpe, "wordpiece": _wordpiece, "unigram": _unigram}[options.kind]
        model = learn(options, corpus)
        if not corpus.alphabet:
            raise TokenizerError("there is nothing to learn from: every text is empty; name files with text in them.")
    tokenizer = tokenizer_around(model, options)
    add_special_tokens(tokenizer, options)
    if (size := tokenizer.get_vocab_size()) > options.tokens:
        raise _too_small(options, size)
    return Trained(
        TextTokenizer(
            tokenizer,
            special_tokens=options.named_special_tokens,
            add_bos=options.add_bos,
            chat_template=chat_template,
        ),
        tuple(corpus.counts),
    )


class _Corpus:
    """The texts, as often as they are wanted, with what was counted at the first time."""

    def __init__(self, files: Sequence[TextFile], reading: Reading, options: TokenizerOptions) -> None:
        self.files, self.reading = files, reading
        self.counts = [Counts() for _ in files]
        self.alphabet: set[str] = set()
        """Characters of the normalised texts."""
        # While a tokenizer learns, it cannot be asked for its normalizer: it would wait for itself.
        self.normalizer = tokenizer_around(_empty_model(options), options).normalizer

    def texts(self) -> Iterator[str]:
        for file, found in zip(self.files, self.counts, strict=True):
            for piece in pieces(file, self.reading, found):
                self.alphabet.update(piece if self.normalizer is None else self.normalizer.normalize_str(piece))
                yield piece

    def again(self) -> Iterator[str]:
        """The same, uncounted."""
        return (piece for file in self.files for piece in pieces(file, self.reading, Counts()))


def _empty_model(options: TokenizerOptions) -> models.Model:
    if options.kind == "wordpiece":
        return models.WordPiece(unk_token=options.unknown)
    return models.Unigram() if options.kind == "unigram" else models.BPE(unk_token=options.unknown)


def _fed(options: TokenizerOptions, trainer: Any, texts: Iterator[str]) -> Mapping[str, Any]:
    """What the library makes of the texts: its model, as JSON holds it."""
    tokenizer = tokenizer_around(_empty_model(options), options)
    tokenizer.train_from_iterator(texts, trainer)
    model: Mapping[str, Any] = json.loads(tokenizer.to_str())["model"]
    return model


def _bpe(options: TokenizerOptions, corpus: _Corpus) -> models.Model:
    trainer = trainers.BpeTrainer(
        vocab_size=_learned(options),
        min_frequency=options.min_frequency,
        max_token_length=options.max_token_length,
        special_tokens=special(options),
        initial_alphabet=list(byte_characters()) if options.kind == "byte_bpe" else [],
        show_progress=False,
    )
    model = _fed(options, trainer, corpus.texts())
    vocabulary, merges = model["vocab"], [tuple(pair) for pair in model["merges"]]
    for name in fallback_tokens() if options.byte_fallback else ():
        vocabulary.setdefault(name, len(vocabulary))
    return models.BPE(vocab=vocabulary, merges=merges, unk_token=options.unknown, byte_fallback=options.byte_fallback)


def _wordpiece(options: TokenizerOptions, corpus: _Corpus) -> models.Model:
    """Learned in two passes: where pairs are equally frequent the library prefers lower ids, and it numbers the letters
    that continue words in an order that changes from process to process, unless they are named beforehand."""
    letters = _fed(options, trainers.WordPieceTrainer(vocab_size=0, show_progress=False), corpus.again())["vocab"]
    continuing = sorted(letter for letter in letters if letter.startswith(CONTINUED) and len(letter) > len(CONTINUED))
    trainer = trainers.WordPieceTrainer(
        vocab_size=_learned(options),
        min_frequency=options.min_frequency,
        special_tokens=[*special(options), *continuing],
        continuing_subword_prefix=CONTINUED,
        show_progress=False,
    )
    vocabulary = _fed(options, trainer, corpus.texts())["vocab"]
    return models.WordPiece(vocab=vocabulary, unk_token=options.unknown, continuing_subword_prefix=CONTINUED)


def _unigram(options: TokenizerOptions, corpus: _Corpus) -> models.Model:
    unknown = options.unknown
    specials = options.all_special_tokens
    trainer = trainers.UnigramTrainer(
        vocab_size=_learned(options) - len(specials) + 1,  # the library counts the unknown token
        max_piece_length=options.max_token_length or LONGEST_UNIGRAM_PIECE,
        # A text that spells a byte token's name must be made of its letters, not of that token.
        initial_alphabet=sorted(set("".join(fallback_tokens()))) if options.byte_fallback else [],
        unk_token=unknown,
        show_progress=False,
    )
    try:
        learned = _fed(options, trainer, corpus.texts())["vocab"]
    except StackError:
        raise
    except Exception as error:  # the library raises bare Exception
        if "not large enough" in str(error):
            raise _too_small(options, len(corpus.alphabet) + _fixed(options)) from None
        raise TokenizerError(f"unigram cannot be learned from these texts: {error}.") from None
    vocabulary = [(text, 0.0) for text in specials] + settled(learned[1:], options.tokens - _fixed(options))
    if options.byte_fallback:
        # Far below every piece: a byte token is for what no piece spells.
        vocabulary += [(name, -1000.0) for name in fallback_tokens()]
    return models.Unigram(vocabulary, specials.index(str(unknown)), options.byte_fallback)


def _learned(options: TokenizerOptions) -> int:
    """Tokens that the library learns: without those that stand for bytes beside its own."""
    return options.tokens - (256 if options.byte_fallback else 0)


def _fixed(options: TokenizerOptions) -> int:
    """Tokens that no text decides: the special ones, and bytes that stand in for characters."""
    return len(options.all_special_tokens) + (256 if options.byte_fallback else 0)


def _too_small(options: TokenizerOptions, least: int) -> TokenizerError:
    other = "" if options.kind == "byte_bpe" else ", or byte_bpe, whose alphabet is 256 bytes"
    return TokenizerError(
        f"a vocabulary of {options.tokens:,} is smaller than its alphabet, which takes {least:,} with the special "
        f"tokens; set vocab_size to {least:,} or more{other}."
    )


def _check_template(source: str) -> None:
    from jinja2 import TemplateSyntaxError
    from jinja2.sandbox import SandboxedEnvironment

    try:
        SandboxedEnvironment(extensions=["jinja2.ext.loopcontrols"]).parse(source)
    except TemplateSyntaxError as error:
        raise TokenizerError(f"the chat template is not valid, line {error.lineno}: {error.message}.") from None
