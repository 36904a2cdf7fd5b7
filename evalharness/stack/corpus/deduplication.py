"""Copies of a document: the same text by its hash, nearly the same by MinHash."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalharness.stack.corpus.options import DeduplicationOptions, NearOptions
from evalharness.stack.corpus.words import Hashes, ngram_hashes
from evalharness.stack.errors import CorpusError

EXACT_BYTES = 16
Signature = NDArray[np.uint32]

_SHINGLES_AT_ONCE = 4096
"""The library makes a table of shingles times permutations; a document of 50 MB must not make it gigabytes large."""


def exact_hash(text: str) -> bytes:
    """128 bits of BLAKE2b of the text, without the white space at both ends."""
    return hashlib.blake2b(text.strip().encode("utf-8"), digest_size=EXACT_BYTES).digest()


def signature(words: Hashes, options: NearOptions) -> Signature | None:
    """The MinHash signature of a document's set of shingles; one of fewer words than a shingle has is one shingle.

    None for a document without a word, which is like no other.
    """
    if not len(words):
        return None
    minhash = _minhash(options)
    shingles = ngram_hashes(words, min(options.shingle, len(words)))
    # A signature is made of 32 bits a shingle: the upper ones are mixed best.
    unique = np.unique((shingles >> np.uint64(32)).astype(np.uint32))
    for start in range(0, len(unique), _SHINGLES_AT_ONCE):
        minhash.update_batch(unique[start : start + _SHINGLES_AT_ONCE].tolist())
    return np.asarray(minhash.hashvalues, dtype=np.uint32)


def check_package() -> None:
    """Raises CorpusError where near copies cannot be looked for."""
    try:
        import datasketch  # noqa: F401
    except ModuleNotFoundError:
        raise CorpusError("deduplication.near needs datasketch: pip install 'evalharness[corpus]'.") from None


class Copies:
    """The documents so far, for the next one to be compared with."""

    def __init__(self, options: DeduplicationOptions) -> None:
        self.options = options
        self._names: list[str] = []
        self._exact: dict[bytes, int] = {}
        self._signatures: dict[int, Signature] = {}
        if options.near:
            from datasketch import MinHashLSH

            # What the bands find is checked by the whole signature, so bands that miss little are the better ones.
            self._bands = MinHashLSH(
                threshold=options.near.threshold, num_perm=options.near.permutations, weights=(0.1, 0.9)
            )

    def of(self, exact: bytes, signature: Signature | None) -> tuple[str, str] | None:
        """``("exact copy" or "near copy", the name of what it is a copy of)``; None for a document that is new."""
        if self.options.exact and exact in self._exact:
            return "exact copy", self._names[self._exact[exact]]
        if signature is not None and self.options.near:
            found = [
                (float(np.mean(self._signatures[other] == signature)), -other)
                for other in self._bands.query(self._wrapped(signature))
            ]
            if found and (best := max(found))[0] >= self.options.near.threshold:
                return "near copy", self._names[-best[1]]
        return None

    def add(self, name: str, exact: bytes, signature: Signature | None) -> None:
        """Take up a document that is no copy."""
        if not self.options.exact and not self.options.near:
            return
        number = len(self._names)
        self._names.append(name)
        self._exact.setdefault(exact, number)
        if signature is not None:
            self._signatures[number] = signature
            self._bands.insert(number, self._wrapped(signature), check_duplication=False)

    def _wrapped(self, signature: Signature) -> Any:
        from datasketch import MinHash

        assert self.options.near is not None
        permutations = _permutations(self.options.near.permutations, self.options.near.seed)
        return MinHash(seed=self.options.near.seed, hashvalues=signature, permutations=permutations, scheme="affine32")


def _minhash(options: NearOptions) -> Any:
    from datasketch import MinHash

    permutations = _permutations(options.permutations, options.seed)
    return MinHash(
        num_perm=options.permutations,
        seed=options.seed,
        hashfunc=int,
        permutations=permutations,
        scheme="affine32",
    )


@cache
def _permutations(count: int, seed: int) -> Any:
    """Drawn once: drawing them anew took a fifth of a document's time."""
    from datasketch import MinHash

    return MinHash(num_perm=count, seed=seed, scheme="affine32").permutations
