"""Small tokenizers, trained on the spot: as our stack and as transformers hold them."""

from __future__ import annotations

from functools import cache
from typing import Any

from evalharness.stack.tokenization.text import TextTokenizer

BOS, EOS = "<s>", "</s>"
_CORPUS = (
    "Question: How many rolls does the baker sell in 3 hours?\nAnswer: She sells 36 rolls.\n\n",
    "The answer is 42. the answer is B. A. one B. two C. three D. four",
    "Zoë läuft 5 km — “so” weit  und    weiter. = = Heron = = 1 @,@ 000",
)


@cache
def trained(*, words: bool = True) -> Any:
    """A byte-level BPE of 400 tokens; without `words` its merges run across spaces, as hardly any real one's do."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=words)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS * 4, trainer)
    return tokenizer


def text_tokenizer(*, add_bos: bool = False, words: bool = True, chat_template: str | None = None) -> TextTokenizer:
    """Ours."""
    return TextTokenizer(
        trained(words=words),
        special_tokens={"bos_token": BOS, "eos_token": EOS},
        add_bos=add_bos,
        chat_template=chat_template,
    )


def transformers_tokenizer(*, add_bos: bool = False, words: bool = True) -> Any:
    """The same as transformers would load it: BOS is put first by the post-processor."""
    from tokenizers import Tokenizer, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer.from_str(trained(words=words).to_str())
    if add_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS)
