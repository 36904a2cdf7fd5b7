"""Shards: the ids of whole documents in a file, memory-mapped, with where each document ends and what became of others.

A shard ``00000`` of a source is five files: ``.tokens``, the ids one after another, uint16 or uint32 little-endian;
``.offsets``, uint64 little-endian, where each document begins and the last one ends; ``.documents.jsonl``, every
document that was read, with its outcome; ``.signatures``, the hashes of those that are no copies, for later documents
to be compared with; ``.json``, its record, written last: a shard without it is none.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalharness.stack.corpus.deduplication import EXACT_BYTES, Signature
from evalharness.stack.corpus.encoding import Ids
from evalharness.stack.durable import sha256_of, write_whole
from evalharness.stack.errors import CorpusError

OFFSETS = np.dtype("<u8")
PARTS = ("tokens", "offsets", "documents.jsonl", "signatures")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRecord:
    """What is known of a shard."""

    tokens: int
    documents: int
    """Kept ones: the pieces of a document that was cut are several."""
    counts: Mapping[str, int]
    """Documents by outcome, and ``characters`` and ``bytes`` of the kept ones."""
    next: tuple[int, int]
    """Where reading goes on: the position of a file in the source, and how many of its documents were read."""
    last: bool
    """Whether it ends its source."""
    sizes: Mapping[str, int]
    sha256: Mapping[str, str]


class ShardWriter:
    """Collects the documents of one shard and writes it."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.tokens = 0
        self._ids: list[Ids] = []
        self._lines: list[str] = []
        self._signatures: list[bytes] = []
        self.counts: Counter[str] = Counter()

    def note(self, document: str, outcome: str, **facts: Any) -> None:
        """One document was read, with what became of it."""
        self.counts[outcome] += 1
        self._lines.append(json.dumps({"document": document, "outcome": outcome, **facts}))

    def compare_with(self, exact: bytes, signature: Signature | None) -> None:
        """Keep the hashes of a document that is no copy."""
        values = b"" if signature is None else signature.astype("<u4").tobytes()
        self._signatures.append(exact + bytes([signature is not None]) + values)

    def add(self, ids: Ids) -> None:
        """A document, or a piece of one, is kept."""
        self._ids.append(ids)
        self.tokens += len(ids)

    def write(self, stem: Path, *, next: tuple[int, int], last: bool) -> ShardRecord:
        """Write the shard's files, its record last.

        Raises:
            OSError: the disk refuses.
        """
        offsets = np.zeros(len(self._ids) + 1, dtype=OFFSETS)
        np.cumsum([len(ids) for ids in self._ids], out=offsets[1:], dtype=OFFSETS)
        data = {
            "tokens": np.concatenate([np.empty(0, self.dtype), *self._ids]).astype(self.dtype).tobytes(),
            "offsets": offsets.tobytes(),
            "documents.jsonl": "".join(line + "\n" for line in self._lines).encode(),
            "signatures": b"".join(self._signatures),
        }
        for part, content in data.items():
            write_whole(part_of(stem, part), content)
        record = ShardRecord(
            tokens=self.tokens,
            documents=len(self._ids),
            counts=dict(sorted(self.counts.items())),
            next=next,
            last=last,
            sizes={part: len(content) for part, content in data.items()},
            sha256={part: hashlib.sha256(content).hexdigest() for part, content in data.items()},
        )
        values = {name: getattr(record, name) for name in ShardRecord.__slots__}
        write_whole(part_of(stem, "json"), (json.dumps(values, indent=1, sort_keys=True) + "\n").encode())
        return record


def part_of(stem: Path, part: str) -> Path:
    return stem.with_name(f"{stem.name}.{part}")


def shard_stem(folder: Path, source: str, number: int) -> Path:
    return folder / source / f"{number:05d}"


def read_record(stem: Path) -> ShardRecord | None:
    """A shard's record; None where there is no shard.

    Raises:
        CorpusError: the record is no record, or a file is missing or of another size.
    """
    path = part_of(stem, "json")
    try:
        values = json.loads(path.read_bytes())
        record = ShardRecord(**{**values, "next": tuple(values["next"])})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        raise CorpusError(f"{path}: not a record of a shard; delete this file and build again.") from None
    for part in PARTS:
        file = part_of(stem, part)
        found = file.stat().st_size if file.is_file() else -1
        if found != record.sizes.get(part):
            what = "is missing" if found < 0 else f"has {found:,} bytes and should have {record.sizes.get(part)}"
            raise CorpusError(f"{file}: {what}; delete {path.name} beside it and build again, which makes it anew.")
    return record


def check_sha256(stem: Path, record: ShardRecord) -> None:
    """Raises CorpusError where a file is no longer what was written."""
    for part in PARTS:
        path = part_of(stem, part)
        if sha256_of(path) != record.sha256[part]:
            raise CorpusError(f"{path}: its bytes are not those that were written (sha256); delete "
                              f"{stem.name}.json beside it and build again, which makes it anew.")  # fmt: skip


def read_outcomes(stem: Path) -> Iterator[dict[str, Any]]:
    """The lines of ``.documents.jsonl``."""
    with part_of(stem, "documents.jsonl").open("rb") as file:
        for line in file:
            yield json.loads(line)


def read_signatures(stem: Path, permutations: int) -> Iterator[tuple[bytes, Signature | None]]:
    """The hashes of the documents that are no copies, in order; `permutations` is 0 without signatures."""
    data, place = part_of(stem, "signatures").read_bytes(), 0
    while place < len(data):
        exact, there = data[place : place + EXACT_BYTES], data[place + EXACT_BYTES]
        place += EXACT_BYTES + 1
        end = place + 4 * permutations * there
        yield exact, np.frombuffer(data[place:end], dtype="<u4").astype(np.uint32) if there else None
        place = end


class Shards:
    """The shards of a source as one run of tokens and documents, memory-mapped."""

    def __init__(self, stems: Sequence[Path], dtype: np.dtype[Any]) -> None:
        self._tokens = [_mapped(part_of(stem, "tokens"), dtype) for stem in stems]
        offsets = [np.fromfile(part_of(stem, "offsets"), dtype=OFFSETS).astype(np.int64) for stem in stems]
        sizes = [len(tokens) for tokens in self._tokens]
        self._starts: NDArray[np.int64] = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
        self.offsets: NDArray[np.int64] = np.concatenate(
            [np.zeros(1, np.int64), *(own[1:] + start for own, start in zip(offsets, self._starts, strict=False))]
        )
        """Where document i begins and, at i + 1, ends."""
        self.dtype = dtype

    @property
    def tokens(self) -> int:
        return int(self._starts[-1])

    @property
    def documents(self) -> int:
        return len(self.offsets) - 1

    def read(self, start: int, stop: int) -> Ids:
        """The ids from `start` to `stop`, whichever shards they lie in."""
        parts = [np.empty(0, self.dtype)]
        shard = int(np.searchsorted(self._starts, start, side="right")) - 1
        while start < stop and shard < len(self._tokens):
            first = int(self._starts[shard])
            parts.append(self._tokens[shard][start - first : stop - first])
            start = min(stop, int(self._starts[shard + 1]))
            shard += 1
        return np.concatenate(parts)

    def document(self, number: int) -> Ids:
        """The ids of a document, with the one that ends it."""
        return self.read(int(self.offsets[number]), int(self.offsets[number + 1]))


def _mapped(path: Path, dtype: np.dtype[Any]) -> Ids:
    """An empty file cannot be mapped."""
    return np.memmap(path, dtype=dtype, mode="r") if path.stat().st_size else np.empty(0, dtype)
