"""Builds a tokenizer from the metadata of a GGUF file, which names a pre-tokenizer but does not describe it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

from evalharness.stack.checkpoints.gguf import GGUFFile
from evalharness.stack.errors import CheckpointError
from evalharness.stack.tokenization.text import TextTokenizer

CONTROL, USER_DEFINED = 3, 4
"""Types of tokens (``llama_token_type``): a control token is special; a user-defined one is never split."""

# The published patterns, as the models' own tokenizer.json have them.
LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_PATTERN = LLAMA3_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}")
TEKKEN_PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _gpt2() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def _single_digits() -> pre_tokenizers.PreTokenizer:
    """GPT-2's, after every digit has been split off: SmolLM, StarCoder."""
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _gpt2()])


def _pattern(pattern: str) -> Callable[[], pre_tokenizers.PreTokenizer]:
    return lambda: pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


PRE_TOKENIZERS: dict[str, Callable[[], pre_tokenizers.PreTokenizer]] = {
    **dict.fromkeys(("default", "gpt-2", "olmo", "mpt"), _gpt2),
    **dict.fromkeys(
        ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"), _single_digits
    ),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "smaug-bpe", "dbrx"), _pattern(LLAMA3_PATTERN)),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "stablelm2"), _pattern(QWEN2_PATTERN)),
    "tekken": _pattern(TEKKEN_PATTERN),
}
"""``tokenizer.ggml.pre`` to what it stands for."""

WHOLE_WORDS = frozenset({"llama-bpe", "llama3", "llama-v3", "tekken"})
"""Pre-tokenizers whose vocabularies hold words that no merge leads to: a word that is a token is taken whole."""

BOS_FIRST = frozenset({"llama-bpe", "llama3", "llama-v3", "tekken"})
"""Pre-tokenizers whose models expect a BOS where the file does not say."""

NFC = frozenset({"qwen2", "deepseek-r1-qwen"})
"""Pre-tokenizers whose models compose their text by Unicode's NFC first."""


def from_gguf(file: GGUFFile) -> TextTokenizer:
    """The tokenizer that a GGUF file describes: byte-level BPE (``gpt2``) or SentencePiece's BPE (``llama``).

    Raises:
        CheckpointError: a kind of tokenizer or a pre-tokenizer that is not known, or a missing key.
    """
    kind = file.require("tokenizer.ggml.model")
    tokens: list[str] = file.require("tokenizer.ggml.tokens")
    if kind == "gpt2":
        tokenizer = _byte_level(file, tokens)
        bos_first = _pre(file) in BOS_FIRST
    elif kind == "llama":
        tokenizer = _sentencepiece(file, tokens)
        bos_first = True
    else:
        raise CheckpointError(f"{file.path} has a tokenizer of the kind '{kind}'; known: gpt2, llama.")
    _add_tokens(tokenizer, tokens, file.metadata.get("tokenizer.ggml.token_type", ()))
    special_tokens = _special_tokens(file, tokens)
    add_bos = file.metadata.get("tokenizer.ggml.add_bos_token", bos_first) and "bos_token" in special_tokens
    if add_bos:
        _put_first(tokenizer, special_tokens["bos_token"])
    return TextTokenizer(
        tokenizer,
        special_tokens=special_tokens,
        add_bos=add_bos,
        chat_template=file.metadata.get("tokenizer.chat_template"),
    )


def _pre(file: GGUFFile) -> str:
    return str(file.metadata.get("tokenizer.ggml.pre", "default"))


def _byte_level(file: GGUFFile, tokens: Sequence[str]) -> Tokenizer:
    pre = _pre(file)
    if pre not in PRE_TOKENIZERS:
        known = ", ".join(sorted(PRE_TOKENIZERS))
        raise CheckpointError(f"{file.path} names the pre-tokenizer '{pre}', which is not known; known: {known}.")
    merges = [tuple(merge.split(" ", 1)) for merge in file.require("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(BPE(_vocabulary(tokens), merges, ignore_merges=pre in WHOLE_WORDS))
    if pre in NFC:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = PRE_TOKENIZERS[pre]()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _sentencepiece(file: GGUFFile, tokens: Sequence[str]) -> Tokenizer:
    """SentencePiece merges the neighbours whose union has the best score: merges ordered by score do the same."""
    scores: list[float] = file.require("tokenizer.ggml.scores")
    unknown = tokens[file.metadata.get("tokenizer.ggml.unknown_token_id", 0)]
    vocabulary = _vocabulary(tokens)
    merges = list(_merges_by_score(vocabulary, scores))
    tokenizer = Tokenizer(BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))
    spaces: list[normalizers.Normalizer] = [normalizers.Replace(" ", "▁")]
    stripped = []
    if file.metadata.get("tokenizer.ggml.add_space_prefix", True):
        spaces.insert(0, normalizers.Prepend("▁"))
        stripped.append(decoders.Strip(" ", 1, 0))
    tokenizer.normalizer = normalizers.Sequence(spaces)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *stripped]
    )
    return tokenizer


def _vocabulary(tokens: Sequence[str]) -> dict[str, int]:
    return {token: id for id, token in enumerate(tokens)}


def _merges_by_score(vocabulary: dict[str, int], scores: Sequence[float]) -> Iterable[tuple[str, str]]:
    """Every way to split a piece into two pieces, best piece first."""
    for piece, _ in sorted(vocabulary.items(), key=lambda item: (-scores[item[1]], item[1])):
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in vocabulary and right in vocabulary:
                yield left, right


def _add_tokens(tokenizer: Tokenizer, tokens: Sequence[str], types: Sequence[int]) -> None:
    chosen = [(token, type) for token, type in zip(tokens, types, strict=False) if type in (CONTROL, USER_DEFINED)]
    tokenizer.add_tokens([AddedToken(token, special=type == CONTROL, normalized=False) for token, type in chosen])


def _special_tokens(file: GGUFFile, tokens: Sequence[str]) -> dict[str, str]:
    keys = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    ids = {name: file.metadata.get(f"tokenizer.ggml.{key}_token_id") for name, key in keys.items()}
    return {name: tokens[id] for name, id in ids.items() if id is not None and id < len(tokens)}


def _put_first(tokenizer: Tokenizer, bos: str) -> None:
    """So that the saved ``tokenizer.json`` adds the BOS for other programs; our own `encode` never does."""
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.token_to_id(bos))]
    )
