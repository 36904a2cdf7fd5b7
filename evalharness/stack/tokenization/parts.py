"""What stands around a tokenizer's vocabulary: how a text is normalised, cut into words, and put together again."""

from __future__ import annotations

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from evalharness.stack.tokenization.options import Digits, TokenizerOptions

CONTINUED = "##"
"""What WordPiece writes before a token that continues a word."""
SPACE = "▁"
"""What stands for a space in vocabularies of characters (U+2581, as in SentencePiece)."""

LONGEST_WORD = 64
"""Characters after which a run of letters, signs or white space is cut; words of languages are shorter.

A merge passes over whole words, so texts without spaces would take very long
(1,000 tokens from 2 MB of random letters: 33 s uncut, 7 s cut)."""

_RUN = f"{{1,{LONGEST_WORD}}}"
_NUMBER: dict[Digits, str] = {"together": rf" ?\p{{N}}{_RUN}", "single": r"\p{N}", "threes": r"\p{N}{1,3}"}
_FORMS = {"nfc": normalizers.NFC, "nfd": normalizers.NFD, "nfkc": normalizers.NFKC, "nfkd": normalizers.NFKD}


def tokenizer_around(model: models.Model, options: TokenizerOptions) -> Tokenizer:
    """A tokenizer with this vocabulary and the parts that the options name, its special tokens not yet added."""
    tokenizer = Tokenizer(model)
    if (normalizer := _normalizer(options)) is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = _pre_tokenizer(options)
    tokenizer.decoder = _decoder(options)
    return tokenizer


def add_special_tokens(tokenizer: Tokenizer, options: TokenizerOptions) -> None:
    """Name the special tokens, those that the vocabulary lacks behind its end, and put BOS first where asked for."""
    tokenizer.add_special_tokens(special(options))
    bos = options.bos_token
    if options.add_bos and bos is not None:
        # A name of its own: blanks and colons, which a token may hold, have a meaning in the notation of templates.
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<bos> $A", special_tokens=[("<bos>", tokenizer.token_to_id(bos))]
        )


def special(options: TokenizerOptions) -> list[AddedToken]:
    """The special tokens in the order of their ids."""
    return [AddedToken(text, special=True, normalized=False) for text in options.all_special_tokens]


def _normalizer(options: TokenizerOptions) -> normalizers.Normalizer | None:
    steps: list[normalizers.Normalizer] = []
    if options.normalization != "none":
        steps.append(_FORMS[options.normalization]())
    if options.strip_accents:
        if options.normalization not in ("nfd", "nfkd"):
            steps.append(normalizers.NFD())
        steps.append(normalizers.StripAccents())
    if options.lowercase:
        steps.append(normalizers.Lowercase())
    return normalizers.Sequence(steps) if steps else None


def _pre_tokenizer(options: TokenizerOptions) -> pre_tokenizers.PreTokenizer:
    if options.kind == "bytes":
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if options.kind == "wordpiece":
        parts = [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Split(Regex(f".{_RUN}"), behavior="isolated")]
        if options.digits != "together":
            parts.append(pre_tokenizers.Split(Regex(_NUMBER[options.digits]), behavior="isolated"))
        return pre_tokenizers.Sequence(parts)
    ending: pre_tokenizers.PreTokenizer = pre_tokenizers.Metaspace(SPACE, prepend_scheme="never", split=False)
    if options.kind == "byte_bpe":
        ending = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(_words(options.digits)), behavior="isolated"), ending])


def _words(digits: Digits) -> str:
    """GPT-2's rule of what a word is, with combining marks as letters (Hindi, Thai, decomposed accents)."""
    return "|".join(
        (
            r"'(?:[sdmt]|ll|ve|re)",
            rf" ?[\p{{L}}\p{{M}}]{_RUN}",
            _NUMBER[digits],
            rf" ?[^\s\p{{L}}\p{{M}}\p{{N}}]{_RUN}",
            rf"\s{_RUN}(?!\S)",
            rf"\s{_RUN}",
        )
    )


def _decoder(options: TokenizerOptions) -> decoders.Decoder:
    if options.kind in ("byte_bpe", "bytes"):
        return decoders.ByteLevel()
    if options.kind == "wordpiece":
        return decoders.WordPiece(prefix=CONTINUED, cleanup=False)
    return decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
