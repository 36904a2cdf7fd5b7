"""A finished corpus, opened for training: its sources memory-mapped, its facts checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evalharness.stack.corpus.card import CORPUS, FORMAT
from evalharness.stack.corpus.options import PackingOptions
from evalharness.stack.corpus.packing import PackedSource
from evalharness.stack.corpus.shards import Shards, check_sha256, read_record, shard_stem
from evalharness.stack.errors import CorpusError


@dataclass(frozen=True, slots=True)
class Corpus:
    """Sources of tokens by name."""

    folder: Path
    facts: Mapping[str, Any]
    """What `corpus.json` says."""
    sources: Mapping[str, Shards]

    @property
    def vocab_size(self) -> int:
        return int(self.facts["tokenizer"]["vocab_size"])

    @property
    def end_id(self) -> int:
        """The id that ends each document."""
        return int(self.facts["tokenizer"]["end_id"])

    @property
    def fingerprint(self) -> str:
        """The same for corpora of the same tokens and documents, in the same sources."""
        digest = hashlib.sha256()
        for name, own in sorted(self.facts["sources"].items()):
            for number in range(int(own["shards"])):
                record = read_record(shard_stem(self.folder, name, number))
                assert record is not None
                digest.update(f"{name} {record.sha256['tokens']} {record.sha256['offsets']}\n".encode())
        return digest.hexdigest()

    def packed(self, options: PackingOptions) -> dict[str, PackedSource]:
        """Every source as sequences; padding repeats the end of a document."""
        return {name: PackedSource(shards, options, self.end_id) for name, shards in self.sources.items()}

    def require_vocabulary(self, size: int, fingerprint: str | None = None) -> None:
        """See that a model with embeddings for `size` ids can be trained on it.

        Args:
            fingerprint: of the model's own tokenizer (`TextTokenizer.fingerprint`), where it has one.

        Raises:
            CorpusError: the corpus has larger ids, or was made with another tokenizer.
        """
        tokenizer = self.facts["tokenizer"]
        if fingerprint is not None and tokenizer["fingerprint"] != f"{fingerprint}+{self.end_id}":
            raise CorpusError(
                f"{self.folder}: made with the tokenizer '{tokenizer['name']}', which is not the model's; build the "
                "corpus with the model's own."
            )
        if size < self.vocab_size:
            raise CorpusError(
                f"{self.folder}: ids up to {self.vocab_size - 1:,}, but the model knows {size:,} ids; give it a "
                f"vocabulary of {self.vocab_size:,} or more, or build the corpus with its own tokenizer."
            )


def open_corpus(folder: Path, *, check: bool = False) -> Corpus:
    """Open a corpus.

    Args:
        check: read every byte and compare its sha256.

    Raises:
        CorpusError: it is none, not finished, of another format, or a shard is missing or cut off; with `check`, or
            changed.
    """
    path = folder / CORPUS
    try:
        facts = json.loads(path.read_bytes())
        dtype = np.dtype(facts["tokenizer"]["dtype"]).newbyteorder("<")
        shards = {name: int(own["shards"]) for name, own in facts["sources"].items()}
    except FileNotFoundError:
        raise CorpusError(
            f"{folder}: no finished corpus (no {CORPUS}); build it with `evalharness corpus build`."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise CorpusError(f"{path}: does not describe a corpus; build it again.") from None
    if facts.get("format") != FORMAT:
        raise CorpusError(f"{path}: format {facts.get('format')}; this version reads format {FORMAT}: build it again.")
    sources = {}
    for name, count in shards.items():
        stems = [shard_stem(folder, name, number) for number in range(count)]
        for stem in stems:
            record = read_record(stem)
            if record is None:
                raise CorpusError(f"{stem}.json: this shard is missing; build again, which makes it anew.")
            if check:
                check_sha256(stem, record)
        sources[name] = Shards(stems, dtype)
    return Corpus(folder, facts, sources)
