from __future__ import annotations

import pytest

from evalharness.data.rename import renamed
from evalharness.data.split import Source, Split, make_split
from evalharness.errors import DataError


def split(*rows: dict[str, object]) -> Split:
    return make_split(rows, None, Source(kind="file", location="x.jsonl", split="test", n=len(rows), of=len(rows)))


def test_a_column_that_is_called_as_the_subset_gets_one_name_for_all() -> None:
    names = {"{subset}": "translation"}
    assert renamed(split({"de-en": {"de": "ja"}, "id": 1}), names, "de-en").rows == [
        {"translation": {"de": "ja"}, "id": 1}
    ]
    assert renamed(split({"cs-en": {"cs": "ano"}}), names, "cs-en").rows == [{"translation": {"cs": "ano"}}]


def test_without_names_nothing_is_copied() -> None:
    rows = split({"a": 1})
    assert renamed(rows, {}, None) is rows


def test_a_column_that_is_missing_is_named() -> None:
    with pytest.raises(DataError, match=r"x\.jsonl: no column 'de-en' in row 0"):
        renamed(split({"de_en": 1}), {"{subset}": "translation"}, "de-en")
