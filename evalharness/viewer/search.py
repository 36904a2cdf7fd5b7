"""Samples in which a text stands. The bytes of the journal are scanned; only lines that may fit are parsed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from evalharness.records.evidence import steps_of, tool_uses_of, verdicts_of
from evalharness.records.strict_json import parse
from evalharness.viewer.index import Index, opened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BLOCK = 4 << 20
"""Bytes that are scanned at a time."""


def found_in(index: Index, rows: NDArray[np.int64], text: str) -> NDArray[np.int64]:
    """Those of the rows (ascending) whose sample has the text in its id, a prompt, or what was said.

    The case of the letters A to Z does not matter. A damaged line has no text.

    Raises:
        DataError, DiskError: the journal is gone, or cannot be read.
    """
    import numpy as np

    wanted = _folded(text)
    # How a journal may spell it: as it is, or in ASCII alone.
    spellings = {json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (False, True)}
    needles = [_folded(spelling) for spelling in spellings]
    found = []
    with opened(index.path) as file:
        for begin, end in _blocks(index, rows):
            first = int(index.starts[rows[begin]])
            last = int(index.starts[rows[end - 1]] + index.lengths[rows[end - 1]])
            file.seek(first)
            block = file.read(last - first)
            folded = block.lower()
            starts = (index.starts[rows[begin:end]] - first).tolist()
            ends = (index.starts[rows[begin:end]] + index.lengths[rows[begin:end]] - first).tolist()
            for place, (start, stop) in enumerate(zip(starts, ends, strict=True)):
                if any(folded.find(needle, start, stop) >= 0 for needle in needles):
                    line = parse(block[start:stop])
                    if line is not None and _has(line, wanted):
                        found.append(rows[begin + place])
    return np.array(found, np.int64)


def _has(line: Mapping[str, Any], wanted: bytes) -> bool:
    try:
        return any(wanted in _folded(each) for each in texts(line))
    except (AttributeError, KeyError, TypeError):
        return False  # valid JSON, yet not a sample


def _blocks(index: Index, rows: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of `rows` whose lines stand close together, so that one reading fetches them."""
    begin = 0
    starts, lengths = index.starts[rows].tolist(), index.lengths[rows].tolist()
    for place in range(1, len(rows) + 1):
        if place == len(rows) or starts[place] + lengths[place] - starts[begin] > _BLOCK:
            yield begin, place
            begin = place


def _folded(text: str) -> bytes:
    # A lone surrogate, which JSON can spell, is no UTF-8 but can be looked for.
    return text.encode(errors="surrogatepass").lower()


def texts(line: Mapping[str, Any]) -> Iterator[str]:
    """What is searched: the id, every prompt, everything that was said, thought or scored, and what judges and tools
    show for it."""
    yield str(line["id"])
    yield from _strings(line.get("completions"))
    yield from _strings(line.get("choices"))
    for repeat in line.get("repeats", ()):
        yield from _strings(repeat.get("candidates"))
        for call in repeat.get("calls", ()):
            yield from _strings([call.get("prompt"), *call.get("continuations", ())])
            yield from _strings([completion.get("reasoning") for completion in call.get("completions", ())])
        for shown in [*verdicts_of(repeat), *tool_uses_of(repeat), *steps_of(repeat)]:
            yield shown.explanation
            yield from (block.text for block in shown.blocks if block.language != "json")


def _strings(values: Any) -> Iterator[str]:
    return (value for value in values or () if isinstance(value, str))
