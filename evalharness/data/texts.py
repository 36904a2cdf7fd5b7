"""Published texts that every row is asked with: a prompt that is read where it is published, and not copied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from evalharness.data.options import PublishedOptions
from evalharness.data.published import published_text
from evalharness.data.settings import SourceSettings
from evalharness.data.split import Split
from evalharness.errors import DataError


def with_texts(split: Split, texts: Mapping[str, PublishedOptions], settings: SourceSettings) -> Split:
    """`split` with a column for each text, which holds it in every row.

    Raises:
        MissingDataError: a text is neither at hand nor can it be fetched.
        DataError: a file is no UTF-8 text, or the rows have a column of its name.
    """
    if not texts:
        return split
    what, wanted = "the text", "--data-dir DIR with that file below extra/, or a network"
    columns = {
        name: published_text(options.path, options.url, settings, what=what, remedy=wanted)[0]
        for name, options in texts.items()
    }
    for name in columns:
        if name in split.rows[0]:
            raise DataError(
                f"{split.source.location}: there is a column '{name}' already; name data.texts another way."
            )
    return replace(split, rows=[{**row, **columns} for row in split.rows])
