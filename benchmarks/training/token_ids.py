"""Token ids to train on: made up from a seed, or of texts on disk."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SUCCESSORS, CHAINS = 16, 64


def made_up(count: int, vocabulary: int, seed: int = 0) -> NDArray[np.int64]:
    """A Markov chain: each token is followed by one of sixteen, which are common ones as Zipf's law has it."""
    random = np.random.default_rng(seed)
    common_V = 1 / np.arange(1, vocabulary + 1)
    successors_VS = random.choice(vocabulary, (vocabulary, SUCCESSORS), p=common_V / common_V.sum())
    odds_S = 0.7 ** np.arange(SUCCESSORS)
    choices_NC = random.choice(SUCCESSORS, (-(-count // CHAINS), CHAINS), p=odds_S / odds_S.sum())
    tokens_NC = np.empty_like(choices_NC)
    now_C = random.integers(vocabulary, size=CHAINS)
    for place, choice_C in enumerate(choices_NC):
        now_C = successors_VS[now_C, choice_C]
        tokens_NC[place] = now_C
    return tokens_NC.T.reshape(-1)[:count].astype(np.int64)


def of_texts(folder: Path, vocabulary: int) -> NDArray[np.int64]:
    """The texts of a folder (.txt, .txt.gz), in the order of their names, by a byte-level BPE learned of them."""
    from tokenizers import ByteLevelBPETokenizer

    texts = []
    for path in sorted([*folder.glob("*.txt"), *folder.glob("*.txt.gz")]):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        texts.append(raw.decode())
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(texts, vocab_size=vocabulary, show_progress=False)
    return np.concatenate([encoding.ids for encoding in tokenizer.encode_batch(texts)]).astype(np.int64)
