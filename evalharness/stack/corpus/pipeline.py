"""The whole way from a YAML's options to a folder of shards: one pass over the texts, resumed where it was cut off."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalharness.stack.corpus.card import FORMAT, write_card
from evalharness.stack.corpus.decontamination import BenchmarkItem, read_benchmarks
from evalharness.stack.corpus.deduplication import Copies, check_package
from evalharness.stack.corpus.documents import files_of, read_source
from evalharness.stack.corpus.filters import check_filters
from evalharness.stack.corpus.options import PipelineOptions, SourceOptions
from evalharness.stack.corpus.shards import (
    ShardRecord,
    ShardWriter,
    read_outcomes,
    read_record,
    read_signatures,
    shard_stem,
)
from evalharness.stack.corpus.stages import CONTAMINATED, Processed, Stages
from evalharness.stack.corpus.workers import Workers
from evalharness.stack.durable import LOCK, locked, write_whole
from evalharness.stack.errors import CorpusError

BEGUN = "pipeline.json"
KEPT, CUT = "kept", "cut"
NEW = frozenset((KEPT, CUT, CONTAMINATED))
"""Outcomes of documents that are no copies: later ones are compared with them."""
WITHOUT_EFFECT = {"output", "workers", "packing", "mixture"}
"""Options that change no shard."""

Progress = Callable[[str, int, int], None]
"""Told of a source, documents read and tokens kept of it, after each shard."""


@dataclass(frozen=True, slots=True)
class Built:
    """A finished corpus."""

    folder: Path
    resumed: int
    """Shards that were there already."""
    written: int


def build(
    options: PipelineOptions,
    base: Path,
    benchmark: Iterable[BenchmarkItem] = (),
    progress: Progress = lambda source, documents, tokens: None,
) -> Built:
    """Build a corpus, or go on with one that was begun. The bytes of the result depend on the options and the texts
    alone: not on the workers, nor on where the build was cut off.

    Args:
        base: the folder that paths start at.
        benchmark: the items of `options.decontamination.tasks`.

    Raises:
        CorpusError: an option, a file of texts or a shard is wrong; the folder holds another corpus, or another process
            builds in it; a worker died. Shards that are whole stay.
        CheckpointError: the tokenizer cannot be read.
        OSError: the disk refuses; the same.
    """
    check_filters(options.filters)
    if options.deduplication.near:
        check_package()
    folder = base / options.output
    files = {source.name: _outside(folder, files_of(source, base)) for source in options.sources}
    benchmarks = read_benchmarks(benchmark, options.decontamination) if options.decontamination else None
    stages = Stages(options, base, benchmarks)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        _begin(folder, _facts(options, stages, files, base))
        copies = Copies(options.deduplication)
        work = _Work(options, base, folder, stages, copies, progress)
        records = {source.name: work.found(source) for source in options.sources}
        resumed = sum(map(len, records.values()))
        workers = Workers(stages, options.workers)
        try:
            for source in options.sources:
                if not (records[source.name] and records[source.name][-1].last):
                    work.source(source, files[source.name], records[source.name], workers)
        finally:
            workers.close()
        write_card(folder, options, stages, records)
    return Built(folder, resumed, sum(map(len, records.values())) - resumed)


def _outside(folder: Path, files: list[Path]) -> list[Path]:
    """Not the corpus itself, whose folder may lie in a source's."""
    return [path for path in files if not path.resolve().is_relative_to(folder.resolve())]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with locked(folder / LOCK) as alone:
        if not alone:
            raise CorpusError(f"{folder}: another process is building here; wait for it, or name another output.")
        yield


def _facts(options: PipelineOptions, stages: Stages, files: dict[str, list[Path]], base: Path) -> dict[str, Any]:
    """What decides the shards."""
    return {
        "format": FORMAT,
        "options": options.model_dump(mode="json", exclude=WITHOUT_EFFECT),
        "tokenizer": stages.encoder.fingerprint,
        "benchmarks": stages.benchmarks.fingerprint if stages.benchmarks else None,
        "files": {
            source: [[os.path.relpath(path, base), path.stat().st_size] for path in paths]
            for source, paths in files.items()
        },
    }


def _begin(folder: Path, facts: dict[str, Any]) -> None:
    """Say what is built here, or see that what was begun is the same."""
    path = folder / BEGUN
    if not path.is_file():
        write_whole(path, (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode())
        return
    try:
        begun = json.loads(path.read_bytes())
    except ValueError:
        raise CorpusError(f"{path}: not valid JSON; delete the folder and build again.") from None
    if changed := [key for key in facts if facts[key] != begun.get(key)]:
        raise CorpusError(
            f"{folder}: a corpus was begun here with other {' and '.join(changed)}; name another output, or delete the "
            "folder."
        )


@dataclass
class _Work:
    options: PipelineOptions
    base: Path
    folder: Path
    stages: Stages
    copies: Copies
    progress: Progress
    gap: bool = False
    """Whether a shard was missing: those after it are made anew."""

    def found(self, source: SourceOptions) -> list[ShardRecord]:
        """The whole shards of a source that are there, in order, their documents known to `copies`."""
        near = self.options.deduplication.near
        records: list[ShardRecord] = []
        (self.folder / source.name).mkdir(exist_ok=True)
        while not (records and records[-1].last):
            stem = shard_stem(self.folder, source.name, len(records))
            record = None if self.gap else read_record(stem)
            if record is None:
                self.gap = True
                self._clear(source, len(records))
                break
            new = (line["document"] for line in read_outcomes(stem) if line["outcome"] in NEW)
            hashes = read_signatures(stem, near.permutations if near else 0)
            for name, (exact, signature) in zip(new, hashes, strict=True):
                self.copies.add(name, exact, signature)
            records.append(record)
        return records

    def _clear(self, source: SourceOptions, number: int) -> None:
        """Nothing of an unfinished shard, nor of one after it, stays."""
        for path in (self.folder / source.name).iterdir():
            if path.name.partition(".")[0].isdigit() and int(path.name.partition(".")[0]) >= number:
                path.unlink()

    def source(self, source: SourceOptions, files: list[Path], records: list[ShardRecord], workers: Workers) -> None:
        """Read a source from where its last shard ends, and add the shards that it makes to `records`."""
        place = records[-1].next if records else (0, 0)
        writer = ShardWriter(self.stages.encoder.dtype)
        read, tokens = 0, 0
        for processed in workers.process(read_source(files, source, place)):
            document = processed.document
            self._take(f"{os.path.relpath(files[document.file], self.base)}:{document.number}", processed, writer)
            place = document.file, document.ordinal
            read += 1
            if writer.tokens >= self.options.shard_tokens:
                tokens += writer.tokens
                records.append(self._write(writer, source, len(records), place, last=False))
                self.progress(source.name, read, tokens)
                writer = ShardWriter(self.stages.encoder.dtype)
        records.append(self._write(writer, source, len(records), place, last=True))
        self.progress(source.name, read, tokens + writer.tokens)

    def _write(
        self, writer: ShardWriter, source: SourceOptions, number: int, place: tuple[int, int], *, last: bool
    ) -> ShardRecord:
        return writer.write(shard_stem(self.folder, source.name, number), next=place, last=last)

    def _take(self, name: str, processed: Processed, writer: ShardWriter) -> None:
        """Decide about one document, in the order of the texts."""
        if processed.removed:
            writer.note(name, processed.removed)
            return
        if copy := self.copies.of(processed.exact, processed.signature):
            writer.note(name, copy[0], of=copy[1])
            return
        self.copies.add(name, processed.exact, processed.signature)
        writer.compare_with(processed.exact, processed.signature)
        if processed.items:
            benchmarks = self.stages.benchmarks
            assert benchmarks is not None
            items = [list(benchmarks.items[item]) for item in processed.items]
            writer.note(name, CUT if processed.pieces else CONTAMINATED, items=items, pieces=len(processed.pieces))
        else:
            writer.note(name, KEPT)
        for ids in processed.pieces:
            writer.add(ids)
        writer.counts["characters"] += processed.characters
        writer.counts["bytes"] += processed.size
