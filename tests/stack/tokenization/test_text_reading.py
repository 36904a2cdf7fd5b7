"""What is read of files of texts, and what is said of those that are wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from evalharness.stack.errors import TextFileError
from evalharness.stack.tokenization.text_files import TextFile
from evalharness.stack.tokenization.text_reading import LONGEST_LINE, PIECE, Counts, Reading, pieces


def read(path: Path, **reading: str) -> tuple[str, Counts]:
    counts = Counts()
    file = TextFile(path, path.name, "any")
    return "".join(pieces(file, Reading(**reading), counts)), counts  # type: ignore[arg-type]


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_a_text_comes_back_whole(tmp_path: Path, packed: bool) -> None:
    text = "Eins\r\nzwei\n\n\tdrei — “vier” 🙂" * 3
    content = b"\xef\xbb\xbf" + text.encode()
    path = tmp_path / ("x.txt.gz" if packed else "x.txt")
    written(path, gzip.compress(content) if packed else content)
    found, counts = read(path)
    assert found == text
    assert (counts.documents, counts.characters, counts.bytes) == (1, len(text), len(text.encode()))


def test_pieces_begin_with_lines_or_words(tmp_path: Path) -> None:
    text = "".join(f"line {number} of this text\n" for number in range(20_000))
    found = list(pieces(TextFile(written(tmp_path / "x.txt", text.encode()), "x", "x"), Reading(), Counts()))
    assert "".join(found) == text
    assert all(piece.startswith("line ") and len(piece) <= PIECE for piece in found)
    words = list(pieces(TextFile(written(tmp_path / "y.txt", b"word " * 50_000), "y", "y"), Reading(), Counts()))
    assert all(piece.startswith((" word", "word")) and len(piece) <= PIECE for piece in words)


def test_one_line_of_50_megabytes(tmp_path: Path) -> None:
    letters = "aé日🙂"
    content = letters * (50_000_000 // len(letters.encode()))
    counts = Counts()
    length = 0
    for piece in pieces(TextFile(written(tmp_path / "x.txt", content.encode()), "x", "x"), Reading(), counts):
        assert len(piece) <= PIECE
        assert not piece.strip(letters)
        length += len(piece)
    assert length == len(content)
    assert (counts.long_lines, counts.broken, counts.documents) == (1, 0, 1)
    assert len(content.encode()) > 40 * LONGEST_LINE


def test_broken_utf8_is_said_where_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "x.txt", b"fine\nna\xefve\nfine\nx\xff\n")
    with pytest.raises(TextFileError, match=r"x\.txt: line 2, byte 3: 0xef is no UTF-8 here; .*skip.*replace"):
        read(path)
    assert read(path, broken_utf8="skip")[0] == "fine\nfine\n"
    text, counts = read(path, broken_utf8="replace")
    assert text == "fine\nna\ufffdve\nfine\nx\ufffd\n"
    assert counts.broken == 2
    assert counts.first_broken == "line 2, byte 3"


@pytest.mark.parametrize("ending", [b"\n", b"", b" and more\nnext"])
def test_broken_utf8_in_a_line_that_is_read_in_parts(tmp_path: Path, ending: bytes) -> None:
    letters = "é".encode() * LONGEST_LINE
    path = written(tmp_path / "x.txt", b"\n" + letters + b"\xff" + ending)
    with pytest.raises(TextFileError, match=f"line 2, byte {len(letters) + 1}: 0xff"):
        read(path)
    assert read(path, broken_utf8="replace")[0] == "\n" + "é" * LONGEST_LINE + "\ufffd" + ending.decode()


def test_json_lines(tmp_path: Path) -> None:
    rows = [{"text": "one", "n": 1}, {"text": ""}, {"text": None}, {"text": "zwölf"}]
    path = written(tmp_path / "x.jsonl", "\n".join(map(json.dumps, rows)).encode() + b"\n\n")
    text, counts = read(path)
    assert text == "onezwölf"
    assert (counts.documents, counts.empty_documents) == (4, 2)


def test_half_a_surrogate_pair_in_json_is_broken_utf8(tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", b'{"text": "a\\ud800"}\n{"text": "b"}\n')
    with pytest.raises(TextFileError, match="line 1, byte 2: 0xed is no UTF-8"):
        read(path)
    assert read(path, broken_utf8="skip")[0] == "b"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", r"x\.jsonl: line 2 is not valid JSON"),
        (b"[" * 100_000, r"x\.jsonl: line 2 is not valid JSON"),
        (b"[]", r"x\.jsonl: line 2 holds a list"),
        (b'{"body": "b", "id": 1}', r"x\.jsonl: line 2 has no 'text' \(it has: body, id\)"),
        (b'{"text": 5}', r"x\.jsonl: line 2: 'text' is a int, not a text"),
    ],
)
def test_json_lines_that_are_wrong(tmp_path: Path, line: bytes, said: str) -> None:
    with pytest.raises(TextFileError, match=said):
        read(written(tmp_path / "x.jsonl", b'{"text": "fine"}\n' + line + b"\n"))


def test_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "x.parquet"
    parquet.write_table(arrow.table({"body": ["one", None, "zwölf"], "id": [1, 2, 3]}), path)
    text, counts = read(path, text_key="body")
    assert text == "onezwölf"
    assert (counts.documents, counts.empty_documents) == (3, 1)
    with pytest.raises(TextFileError, match=r"x\.parquet: its table has no 'text' \(it has: body, id\)"):
        read(path)
    with pytest.raises(TextFileError, match=r"row 1: 'id' is a int"):
        read(path, text_key="id")
    with pytest.raises(TextFileError, match=r"y\.parquet cannot be read as parquet"):
        read(written(tmp_path / "y.parquet", b"no parquet"))


def test_broken_utf8_in_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    raw = arrow.array([b"fine", b"x\xff"], arrow.binary())
    path = tmp_path / "x.parquet"
    parquet.write_table(arrow.table({"text": raw.view(arrow.string())}), path)
    with pytest.raises(TextFileError, match="row 2, byte 2: 0xff"):
        read(path)
    assert read(path, broken_utf8="skip")[0] == "fine"


@pytest.mark.parametrize("content", [b"no archive", gzip.compress(b"a text" * 99, mtime=0)[:-12]])
def test_a_damaged_archive(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(TextFileError, match=r"x\.txt\.gz is damaged"):
        read(written(tmp_path / "x.txt.gz", content))
