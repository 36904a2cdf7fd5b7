"""What `evalharness tokenizer report` says: a table for each grouping, or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from evalharness.stack.tokenization.report import RATES, Row
from evalharness.text_table import columns

if TYPE_CHECKING:
    from evalharness.stack.tokenization.text import TextTokenizer
    from evalharness.stack.tokenization.text_files import TextFile
    from evalharness.stack.tokenization.text_reading import Counts

HEAD = ("tokenizer", "tokens", "of first", "per word", "per char", "per byte", "chars known", "words known",
        "byte tokens", "vocabulary used")  # fmt: skip


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Tables, one a grouping: a row for each group and tokenizer, tokenizers of a group beneath each other."""
    for grouping in dict.fromkeys(row.grouping for row in rows):
        table: list[tuple[str, ...]] = [(grouping, *HEAD)]
        first: Row | None = None
        for row in (row for row in rows if row.grouping == grouping):
            begins = first is None or first.group != row.group
            first = row if begins or first is None else first
            table.append((f"{row.group}, {row.words:,} words" if begins else "", *_cells(row, first)))
        yield from columns(table)
        yield ""


def _cells(row: Row, first: Row) -> tuple[str, ...]:
    return (
        row.tokenizer,
        f"{row.tokens:,}",
        _number(row.tokens / first.tokens if first.tokens else None),
        *(_number(rate) for rate in (row.tokens_per_word, row.tokens_per_character, row.tokens_per_byte)),
        *(_percent(share) for share in (row.characters_covered, row.words_covered, row.byte_share)),
        f"{_percent(row.vocabulary_used)} of {row.vocab_size:,}",
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    """Rounded towards the middle: what is not all or none is not shown as all or none."""
    if value is None:
        return "-"
    shown = round(value, 4)
    if (shown in (0.0, 1.0)) and shown != value:
        return ">99.99 %" if value > 0.5 else "<0.01 %"
    return f"{shown:.2%}".replace("%", " %")


def as_values(
    rows: Sequence[Row], tokenizers: Mapping[str, TextTokenizer], files: Sequence[TextFile], counts: Sequence[Counts]
) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "tokenizers": [
            {"name": name, "vocab_size": each.tokenizer.get_vocab_size(), "fingerprint": each.fingerprint}
            for name, each in tokenizers.items()
        ],
        "files": [
            {"name": file.name, "domain": file.domain, "sha256": file.sha256(), **asdict(found)}
            for file, found in zip(files, counts, strict=True)
        ],
        "rows": [asdict(row) | {rate: getattr(row, rate) for rate in RATES} for row in rows],
    }
