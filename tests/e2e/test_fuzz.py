"""Thousands of damaged task and data files: what is wrong with them is said in a sentence, and nothing else escapes.

Each file begins as one that works and is then damaged a few times: bytes cut, doubled, put in or turned over; lines
moved; values of the YAML replaced by others. What a user may type fails with `EvalHarnessError` alone.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalharness.data.options import DataOptions
from evalharness.data.samples import samples
from evalharness.data.sources import SourceSettings, load_split
from evalharness.errors import EvalHarnessError
from evalharness.registry import task_files
from evalharness.tasks.protocol_hash import protocol_hash, synthetic_samples
from evalharness.tasks.task import expand, load_task, protocol_names
from evalharness.tasks.validate.validate import validate

TASKS, DATA = 2000, 500
TEXTS = {path.stem: path.read_bytes() for path in task_files().values()}
ODD = (
    b"\x00", b"\xff", b"\t", b"\r", b"{{", b"}}", b"{%", b"%}", b": ", b"- ", b"[", b"]", b"{", b"}", b"&a ", b"*a",
    b"!!python/none ", b"\n---\n", b"\xe2\x80\xa8", b"'", b'"', b"|", b">", b"#", b"~", b"<<: ", b"0x", b"1e999",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 10**30, 1.5, float("nan"), float("inf"), "", " ", "x" * 5000, "{{ x }}", "{{ 1 / 0 }}",
    "{{ question.__class__ }}", "{{ [] }}", "{{ {} }}", "{{ range(10) }}", "{% for x in y %}", "{{ 'a' * 99999999 }}",
    [], [None], [[]], ["a", 1], {}, {"a": {}}, {1: 2}, "número", "\u2028", "mmlu", "../../etc/passwd", "/dev/null",
)  # fmt: skip


def damaged(content: bytes, draw: random.Random) -> bytes:
    """The bytes, hurt one to four times."""
    for _ in range(draw.randint(1, 4)):
        at, end = sorted(draw.randrange(len(content) + 1) for _ in range(2))
        end = min(end, at + draw.choice((1, 3, 40, 400)))
        match draw.randrange(6):
            case 0:
                content = content[:at] + content[end:]
            case 1:
                content = content[:end] + content[at:end] + content[end:]
            case 2:
                content = content[:at] + draw.choice(ODD) + content[at:]
            case 3 if content:
                place = min(at, len(content) - 1)
                content = content[:place] + bytes([content[place] ^ (1 << draw.randrange(8))]) + content[place + 1 :]
            case 4:
                lines = content.splitlines(keepends=True)
                draw.shuffle(lines)
                content = b"".join(lines) if draw.random() < 0.1 else content
            case _:
                content = content[:at] if draw.random() < 0.2 else content
    return content


def places(values: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a definition."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from places(value, (*at, key))


def exchanged(content: bytes, draw: random.Random) -> bytes:
    """The definition with one to three of its values replaced, or their keys renamed."""
    values = yaml.safe_load(content)
    for _ in range(draw.randint(1, 3)):
        *parents, last = draw.choice([*places(values)])
        section = values
        for key in parents:
            section = section[key]
        if isinstance(section, dict) and draw.random() < 0.2:
            section[draw.choice((f"{last}x", str(last)[1:], last, 5))] = section.pop(last)
        else:
            section[last] = deepcopy(draw.choice(VALUES))  # what is put in may be changed next
    return yaml.safe_dump(values, allow_unicode=True, sort_keys=False).encode()


def try_task(name: str, content: bytes) -> None:
    """Everything that reads a task file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.yaml"
        path.write_bytes(content)
        validate([path], settings=SourceSettings(hub=False))
        with suppress(EvalHarnessError):
            expand([str(path)])
            for protocol in protocol_names(path):
                task = load_task(path, protocol=protocol)
                for sample in synthetic_samples(task):
                    task.renderer.reference(sample)
                    task.renderer.questions(sample)
                protocol_hash(task)


def _fuzz(count: int, one: Callable[[random.Random], None], *, anew: bool = False) -> None:
    """Tries ``one`` with ``count`` seeds: the same each time, so that a change fails by its own fault, or new ones."""

    @settings(
        max_examples=count, derandomize=not anew, deadline=None, suppress_health_check=[*HealthCheck], database=None
    )
    @given(st.integers(0, 2**62))
    def run(seed: int) -> None:
        one(random.Random(seed))

    run()


def _one_task(draw: random.Random) -> None:
    name = draw.choice(sorted(TEXTS))
    content = TEXTS[name]
    try_task(name, exchanged(content, draw) if draw.random() < 0.5 else damaged(content, draw))


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALHARNESS_DATA")


def test_damaged_task_files() -> None:
    """A twentieth of them in every run of the tests."""
    _fuzz(TASKS // 20, _one_task)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_thousand_damaged_task_files() -> None:
    _fuzz(TASKS, _one_task, anew=True)


# --------------------------------------------------------------------------- data

ROWS = [{"id": f"r{n}", "question": f"What is {n}? “é”", "answer": str(n), "texts": ["a", "b"]} for n in range(12)]


def _jsonl() -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def _csv() -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, [*ROWS[0]])
    writer.writeheader()
    writer.writerows(ROWS)
    return text.getvalue().encode()


def _parquet() -> bytes:
    import pyarrow
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), buffer)
    return buffer.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "rows.jsonl": _jsonl,
    "rows.jsonl.gz": lambda: gzip.compress(_jsonl()),
    "rows.csv": _csv,
    "rows.csv.gz": lambda: gzip.compress(_csv()),
    "rows.parquet": _parquet,
}


def _one_file(draw: random.Random) -> None:
    name = draw.choice(sorted(FILES))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(damaged(FILES[name](), draw))
        with suppress(EvalHarnessError):
            split = load_split(DataOptions(file=name), "test", base_dir=Path(folder))
            for sample in samples(split, ["question", "answer"], id_column="id"):
                assert sample.id


def test_damaged_data_files() -> None:
    _fuzz(DATA, _one_file)


@pytest.mark.parametrize("name", FILES)
def test_the_files_work_before_they_are_damaged(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name]())
    split = load_split(DataOptions(file=name), "test", base_dir=tmp_path)
    assert [sample.id for sample in samples(split, ["question", "answer"], id_column="id")] == [
        row["id"] for row in ROWS
    ]
