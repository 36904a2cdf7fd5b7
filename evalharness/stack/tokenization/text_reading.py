"""The texts of files, in pieces, read as a stream and counted."""

from __future__ import annotations

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from evalharness.stack.errors import TextFileError
from evalharness.stack.tokenization.text_files import TextFile

PIECE = 1 << 16
"""Characters of the longest piece: what a tokenizer is handed at a time, so that no document is too long."""
LONGEST_LINE = 1 << 20
"""Bytes of a text's line that are held at a time; a longer line is read in parts."""

Broken = Literal["refuse", "skip", "replace"]

_LINE_START = re.compile(r"(?<=\S\n)(?=\S)")
_WORD_START = re.compile(r"(?<=\S)(?= \S)")
_NEAR_THE_END = 4096


@dataclass(slots=True)
class Counts:
    """What a pass over one file found; filled as its pieces are read."""

    documents: int = 0
    empty_documents: int = 0
    characters: int = 0
    bytes: int = 0
    """Of the texts in UTF-8."""
    broken: int = 0
    """Lines or values that are no UTF-8: left out or repaired."""
    first_broken: str | None = None
    """Where in the file: ``line 2, byte 3``."""
    long_lines: int = 0
    """Lines longer than `LONGEST_LINE`, which were read in parts."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read."""

    text_key: str = "text"
    """The key of JSON lines and the column of parquet that hold the text."""
    broken_utf8: Broken = "refuse"
    """What happens to a line that is no UTF-8."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a file something is."""

    path: Path
    spot: str
    bytes_before: int = 0
    """Of the spot, where it is read in parts."""

    def __str__(self) -> str:
        return f"{self.path}: {self.spot}"


def pieces(file: TextFile, reading: Reading, counts: Counts) -> Iterator[str]:
    """The texts of a file in pieces of at most `PIECE` characters, counted as they are read.

    A longer text is cut where a line begins, else before a word, else anywhere.

    Raises:
        TextFileError: with the line: broken UTF-8 where that is refused, no JSON, a missing key or column,
            a damaged archive.
    """
    try:
        for document in _documents(file, reading, counts):
            counts.documents += 1
            length = 0
            for piece in _cut(document):
                length += len(piece)
                counts.bytes += len(piece.encode("utf-8"))
                yield piece
            counts.characters += length
            counts.empty_documents += not length
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TextFileError(f"{file.path} is damaged: {error}; fetch or pack it again.") from None


def _documents(file: TextFile, reading: Reading, counts: Counts) -> Iterator[Iterable[str]]:
    """Each document as parts that follow each other."""
    if file.path.name.endswith(".parquet"):
        yield from _parquet(file.path, reading, counts)
        return
    opened: Any = gzip.open if file.path.name.endswith(".gz") else open
    with opened(file.path, "rb") as stream:
        if file.path.name.endswith((".txt", ".txt.gz")):
            yield _text_lines(stream, file.path, reading, counts)
        else:
            yield from _json_lines(stream, file.path, reading, counts)


def _text_lines(stream: IO[bytes], path: Path, reading: Reading, counts: Counts) -> Iterator[str]:
    number, rest, read = 1, b"", 0  # `read` bytes of the line have been handed on
    if stream.peek(3)[:3] == codecs.BOM_UTF8:  # type: ignore[attr-defined]
        stream.read(3)
    while raw := stream.readline(LONGEST_LINE):
        ended = raw.endswith(b"\n")
        raw, rest = rest + raw, b""
        if not ended and len(raw) >= LONGEST_LINE:
            whole = _whole_characters(raw)
            raw, rest = raw[:whole], raw[whole:]
            counts.long_lines += not read
        text = _decoded(raw, _Place(path, f"line {number}", read), reading, counts)
        if text is not None:
            yield text
        number, read = (number + 1, 0) if ended else (number, read + len(raw))
    if rest:
        yield _decoded(rest, _Place(path, f"line {number}", read), reading, counts) or ""


def _whole_characters(raw: bytes) -> int:
    """How many bytes come before a character at the end that is not whole."""
    for back in range(1, min(4, len(raw) + 1)):
        byte = raw[-back]
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(raw) - back if needed > back else len(raw)
        if byte < 0x80:
            break
    return len(raw)


def _json_lines(stream: IO[bytes], path: Path, reading: Reading, counts: Counts) -> Iterator[Iterable[str]]:
    for number, raw in enumerate(stream, start=1):
        where = _Place(path, f"line {number}")
        line = _decoded(raw, where, reading, counts)
        if line is None or not line.strip():
            continue
        try:
            row = json.loads(line.removeprefix("\ufeff"))
        except (ValueError, RecursionError) as error:
            raise TextFileError(f"{where} is not valid JSON: {error}.") from None
        if not isinstance(row, dict):
            raise TextFileError(f"{where} holds a {type(row).__name__}; every line is a JSON object.")
        yield from _value(row.get(reading.text_key, _MISSING), row, where, reading, counts)


_MISSING = object()


def _value(
    value: object, known: Iterable[str], where: _Place, reading: Reading, counts: Counts
) -> Iterator[tuple[str, ...]]:
    """The text that a row holds; none where there is no value."""
    if value is _MISSING:
        names = ", ".join(sorted(known)) or "none"
        raise TextFileError(f"{where} has no '{reading.text_key}' (it has: {names}); name the text's key by text_key.")
    if value is None:
        yield ()
        return
    if not isinstance(value, str):
        raise TextFileError(f"{where}: '{reading.text_key}' is a {type(value).__name__}, not a text.")
    # JSON can spell half of a surrogate pair, which UTF-8 cannot.
    text = _decoded(value.encode("utf-8", "surrogatepass"), where, reading, counts)
    if text is not None:
        yield (text,)


def _parquet(path: Path, reading: Reading, counts: Counts) -> Iterator[Iterable[str]]:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ModuleNotFoundError:
        raise TextFileError(f"{path}: parquet files need the package pyarrow: pip install pyarrow.") from None
    try:
        file = parquet.ParquetFile(path)
        if reading.text_key not in file.schema_arrow.names:
            yield from _value(_MISSING, file.schema_arrow.names, _Place(path, "its table"), reading, counts)
        number = 0
        for batch in file.iter_batches(batch_size=256, columns=[reading.text_key]):
            for scalar in batch.column(0):
                number += 1
                where = _Place(path, f"row {number}")
                try:
                    value = scalar.as_py()
                except UnicodeDecodeError:
                    text = _decoded(scalar.as_buffer().to_pybytes(), where, reading, counts)
                    if text is not None:
                        yield (text,)
                else:
                    yield from _value(value, (), where, reading, counts)
    except (arrow.ArrowException, OSError) as error:
        raise TextFileError(f"{path} cannot be read as parquet: {str(error).splitlines()[0].rstrip('.')}.") from None


def _decoded(raw: bytes, where: _Place, reading: Reading, counts: Counts) -> str | None:
    """The text of the bytes; None where they are no UTF-8 and such lines are skipped."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        spot = f"{where.spot}, byte {where.bytes_before + error.start + 1}"
        if reading.broken_utf8 == "refuse":
            raise TextFileError(
                f"{where.path}: {spot}: 0x{raw[error.start]:02x} is no UTF-8 here; repair the file, or set broken_utf8 "
                "to skip (such lines are left out) or replace (U+FFFD takes the place of such bytes)."
            ) from None
        counts.broken += 1
        counts.first_broken = counts.first_broken or spot
        return None if reading.broken_utf8 == "skip" else raw.decode("utf-8", "replace")


def _cut(parts: Iterable[str]) -> Iterator[str]:
    """Parts that follow each other, joined and cut into pieces."""
    gathered: list[str] = []
    length = 0
    for part in parts:
        gathered.append(part)
        length += len(part)
        if length <= PIECE:
            continue
        text, at = "".join(gathered), 0
        while len(text) - at > PIECE:
            end = _end(text, at)
            yield text[at:end]
            at = end
        gathered, length = [text[at:]], len(text) - at
    if length:
        yield "".join(gathered)


def _end(text: str, at: int) -> int:
    """Where the piece that begins at `at` ends."""
    limit = at + PIECE
    for pattern in (_LINE_START, _WORD_START):
        # The pattern looks one or two characters past the limit.
        places: Sequence[int] = [
            found.start() for found in pattern.finditer(text, limit - _NEAR_THE_END, min(len(text), limit + 2))
        ]
        if fitting := [place for place in places if place <= limit]:
            return fitting[-1]
    return limit
