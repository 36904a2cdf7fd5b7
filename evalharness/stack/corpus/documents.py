"""Documents out of files of text, JSON lines and parquet, one at a time."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

from evalharness.stack.corpus.options import Format, SourceOptions
from evalharness.stack.errors import CorpusError

SUFFIXES: Mapping[str, Format] = {
    ".txt": "text", ".md": "text", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet",
}  # fmt: skip
PARQUET_ROWS = 256
"""Rows that are read at a time: a row may be a whole book."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text and where it stands."""

    number: int
    """Position in its file, from 1: the line, paragraph or row."""
    text: str | None
    """None where it is broken."""
    file: int = 0
    """Position of its file in the source."""
    ordinal: int = 1
    """How many documents of its file are read with it: where reading goes on."""


def files_of(source: SourceOptions, base: Path) -> list[Path]:
    """The files that a source names, each once, sorted by name within each of its paths.

    Raises:
        CorpusError: a path leads to no file, or to one whose suffix says nothing of its format.
    """
    found: dict[Path, None] = {}
    for pattern in source.paths:
        place = base / pattern
        if place.is_dir():
            paths = [path for path in sorted(place.rglob("*")) if path.is_file() and _suffix(path) in SUFFIXES]
        elif place.is_file():
            paths = [place]
        else:
            absolute = Path(pattern).is_absolute()
            root = Path(Path(pattern).anchor) if absolute else base
            paths = sorted(path for path in root.glob(str(Path(pattern).relative_to(root) if absolute else pattern))
                           if path.is_file())  # fmt: skip
        if not paths:
            raise CorpusError(f"sources.{source.name}: {place}: there is no such file; paths start at {base}.")
        found |= dict.fromkeys(paths)
    for path in found:
        if source.format is None and _suffix(path) not in SUFFIXES:
            raise CorpusError(
                f"sources.{source.name}: {path}: the suffix says no format; give format: text, jsonl or parquet."
            )
    return list(found)


def read_source(files: Sequence[Path], source: SourceOptions, start: tuple[int, int]) -> Iterator[Document]:
    """The documents of a source's files from `start` on: a position of a file, and how many of its documents to pass
    over.

    Raises:
        CorpusError: as `read_documents`.
    """
    for position in range(start[0], len(files)):
        skipped = start[1] if position == start[0] else 0
        documents = islice(read_documents(files[position], source), skipped, None)
        for ordinal, document in enumerate(documents, skipped + 1):
            yield replace(document, file=position, ordinal=ordinal)


def read_documents(path: Path, source: SourceOptions) -> Iterator[Document]:
    """The documents of a file, in order, none of the others held in memory.

    A byte-order mark at the start of the file goes, and ends of lines are ``\\n``.

    Raises:
        CorpusError: the file is damaged; a key or column is missing or holds no text; with `broken: error`, a document
            is no UTF-8 or a line no JSON.
    """
    kind = source.format or SUFFIXES[_suffix(path)]
    try:
        if kind == "parquet":
            yield from _parquet(path, source)
            return
        with cast(IO[bytes], gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as file:
            readers: dict[str, Callable[[IO[bytes], Path, SourceOptions], Iterator[Document]]] = {
                "file": _whole, "line": _lines, "paragraph": _paragraphs,
            }  # fmt: skip
            yield from _json_lines(file, path, source) if kind == "jsonl" else readers[source.unit](file, path, source)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CorpusError(f"{path}: damaged or cut off ({error}); get the file anew.") from None


def _suffix(path: Path) -> str:
    return Path(path.stem).suffix.lower() if path.suffix == ".gz" else path.suffix.lower()


def _whole(file: IO[bytes], path: Path, source: SourceOptions) -> Iterator[Document]:
    text = _decoded(file.read(), path, 1, source)
    yield Document(1, None if text is None else text.replace("\r\n", "\n").removeprefix("\ufeff"))


def _lines(file: IO[bytes], path: Path, source: SourceOptions) -> Iterator[Document]:
    for number, line in enumerate(file, 1):
        text = _decoded(line.rstrip(b"\r\n"), path, number, source)
        yield Document(number, text.removeprefix("\ufeff") if text and number == 1 else text)


def _paragraphs(file: IO[bytes], path: Path, source: SourceOptions) -> Iterator[Document]:
    number, lines = 0, list[bytes]()
    for line in _then_an_empty_line(file):
        if line.strip():
            lines.append(line)
        elif lines:
            number += 1
            text = _decoded(b"".join(lines).rstrip(b"\r\n"), path, number, source)
            yield Document(number, None if text is None else text.replace("\r\n", "\n").removeprefix("\ufeff"))
            lines = []


def _then_an_empty_line(file: IO[bytes]) -> Iterator[bytes]:
    yield from file
    yield b"\n"


def _json_lines(file: IO[bytes], path: Path, source: SourceOptions) -> Iterator[Document]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        text = _decoded(line, path, number, source)
        if text is None:
            yield Document(number, None)
            continue
        try:
            row = json.loads(text.removeprefix("\ufeff"))
        except (ValueError, RecursionError) as error:
            if source.broken == "error":
                raise CorpusError(f"{path}:{number}: not valid JSON ({error}); {_SAY_BROKEN}") from None
            yield Document(number, None)
            continue
        if not isinstance(row, dict):
            raise CorpusError(f"{path}:{number}: a {type(row).__name__}; each line must hold a JSON object.")
        yield Document(number, _column(row, source.text, f"{path}:{number}"))


def _parquet(path: Path, source: SourceOptions) -> Iterator[Document]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise CorpusError(f"{path}: parquet needs pyarrow: pip install 'evalharness[corpus]'.") from None
    try:
        with parquet.ParquetFile(path) as table:
            if source.text not in table.schema_arrow.names:
                raise CorpusError(_no_such(source.text, table.schema_arrow.names, str(path)))
            number = 0
            for batch in table.iter_batches(batch_size=PARQUET_ROWS, columns=[source.text]):
                for value in batch.column(0).to_pylist():
                    number += 1
                    yield Document(number, _column({source.text: value}, source.text, f"{path}: row {number}"))
    except (pyarrow.ArrowInvalid, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: not a whole parquet file ({str(error).splitlines()[0]}); get it anew.") from None


def _column(row: Mapping[str, Any], name: str, where: str) -> str:
    if name not in row:
        raise CorpusError(_no_such(name, list(row), where))
    value = row[name]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CorpusError(f"{where}: '{name}' holds a {type(value).__name__}; name the key of the text in text.")
    # JSON can spell half of a surrogate pair, which no UTF-8 can.
    return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _no_such(name: str, known: list[str], where: str) -> str:
    return f"{where}: there is no '{name}'; there are: {', '.join(known[:12])}. Name the one of the text in text."


_SAY_BROKEN = "mend it, or say broken: drop (leave it out) or replace in the source."


def _decoded(data: bytes, path: Path, number: int, source: SourceOptions) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if source.broken == "error":
            raise CorpusError(
                f"{path}: document {number}: byte {error.start} (0x{data[error.start]:02x}) is no UTF-8; {_SAY_BROKEN}"
            ) from None
        return data.decode("utf-8", "replace") if source.broken == "replace" else None
