"""The tokenizer that goes with a training's checkpoints: the one that its corpus was made with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalharness.stack.corpus.encoding import BYTES, BYTES_END
from evalharness.stack.errors import StackError, TrainingError

if TYPE_CHECKING:
    from evalharness.stack.corpus.reading import Corpus
    from evalharness.stack.tokenization.text import TextTokenizer


def training_tokenizer(name: str | None, base: Path, corpus: Corpus) -> TextTokenizer:
    """The tokenizer, whose end of a text is the corpus's end of a document.

    Args:
        name: a folder with tokenizer.json, from `base` on; None looks for the corpus's own beside the corpus and in
            the folders above it.

    Raises:
        CheckpointError: the folder holds no tokenizer that can be read.
        CorpusError: it is not the one that the corpus was made with.
        TrainingError: the corpus's own is nowhere to be found.
    """
    from evalharness.stack.tokenization.text import from_folder

    if name is not None:
        tokenizer = from_folder(base / name)
        corpus.require_vocabulary(len(tokenizer.tokenizer.get_vocab()), tokenizer.fingerprint)
        return _ended(tokenizer, corpus.end_id)
    told: Any = corpus.facts["tokenizer"]
    if told["name"] == BYTES:
        return byte_tokenizer()
    for above in (corpus.folder, *corpus.folder.resolve().parents):
        try:
            tokenizer = from_folder(above / told["name"])
        except StackError:
            continue
        if told["fingerprint"] == f"{tokenizer.fingerprint}+{corpus.end_id}":
            return _ended(tokenizer, corpus.end_id)
    raise TrainingError(
        f"{corpus.folder}: its tokenizer '{told['name']}' is not beside it or above it; name its folder (tokenizer)."
    )


def byte_tokenizer() -> TextTokenizer:
    """Bytes as a corpus takes them: the id of a byte is its value, and 256 ends a text."""
    from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers

    from evalharness.stack.tokenization.byte_tokens import bytes_model
    from evalharness.stack.tokenization.text import TextTokenizer

    tokenizer = Tokenizer(bytes_model())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(BYTES_END, special=True)])
    return TextTokenizer(tokenizer, special_tokens={"eos_token": BYTES_END}, add_bos=False)


def _ended(tokenizer: TextTokenizer, end_id: int) -> TextTokenizer:
    """The same, with the corpus's end of a document as its EOS."""
    from evalharness.stack.tokenization.text import TextTokenizer

    if tokenizer.eos_id == end_id:
        return tokenizer
    special = tokenizer.special_tokens | {"eos_token": str(tokenizer.tokenizer.id_to_token(end_id))}
    return TextTokenizer(
        tokenizer.tokenizer, special_tokens=special, add_bos=tokenizer.add_bos, chat_template=tokenizer.chat_template
    )


def with_special_tokens(tokenizer: TextTokenizer, texts: Sequence[str]) -> tuple[TextTokenizer, dict[str, int]]:
    """The tokenizer with these special tokens, those that it lacks behind its end, and the id of each.

    No text of a corpus holds them, since one that spells a special token is tokenised as a text there.

    Raises:
        TrainingError: one of them is a token of ordinary texts.
    """
    from tokenizers import AddedToken, Tokenizer

    from evalharness.stack.tokenization.text import TextTokenizer

    special = {token.content for token in tokenizer.tokenizer.get_added_tokens_decoder().values() if token.special}
    missing = [text for text in texts if text not in special]
    for text in missing:
        if tokenizer.tokenizer.token_to_id(text) is not None:
            raise TrainingError(
                f"objective: the tokenizer has '{text}' as a token of ordinary texts; it must be a special one, or "
                "none."
            )
    extended = tokenizer
    if missing:
        extended = TextTokenizer(
            Tokenizer.from_str(tokenizer.tokenizer.to_str()),
            special_tokens=tokenizer.special_tokens,
            add_bos=tokenizer.add_bos,
            chat_template=tokenizer.chat_template,
        )
        extended.tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in missing])
    vocabulary = extended.tokenizer.get_vocab(with_added_tokens=True)
    return extended, {text: vocabulary[text] for text in texts}
