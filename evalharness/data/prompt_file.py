"""Worked questions out of a published file of a prompt, as BIG-Bench Hard has one for each of its tasks.

The file holds, after a rule of five hyphens, a description and then questions with their answers::

    -----
    Infer the date from context.

    Q: Tomorrow is ...
    A: Let's think step by step. ...

`published` says where it is looked for.
"""

from __future__ import annotations

from evalharness.data.options import PromptFileOptions
from evalharness.data.published import published_text
from evalharness.data.settings import SourceSettings
from evalharness.data.split import Source, Split, make_split
from evalharness.errors import DataError
from evalharness.hashing import sha256_text

RULE = "-----\n"


def load_prompt_file(options: PromptFileOptions, subset: str | None, settings: SourceSettings) -> Split:
    """The worked questions as rows ``{input, answer}``.

    Raises:
        MissingDataError: the file is neither at hand nor can it be fetched.
        DataError: it holds no worked question.
    """
    path = options.path.replace("{subset}", subset or "")
    url = options.url.replace("{subset}", subset or "")
    text, location = published_text(
        path, url, settings, what="the demonstrations", remedy="--data-dir DIR with that file, a network, or --shots 0"
    )
    rows = _rows(text, location)
    source = Source(
        kind="file",
        location=location,
        split="demonstrations",
        config=subset,
        sha256=sha256_text(text),
        n=len(rows),
        of=len(rows),
    )
    return make_split(rows, None, source)


def _rows(text: str, location: str) -> list[dict[str, str]]:
    _, _, body = text.partition(RULE)
    rows = []
    for block in body.split("\n\nQ: ")[1:]:
        question, mark, answer = block.partition("\nA: ")
        if not mark:
            raise DataError(
                f"{location}: the question {question[:40]!r} has no answer; write it on a line after 'A: '."
            )
        rows.append({"input": question, "answer": answer.rstrip("\n")})
    if not rows:
        raise DataError(f"{location}: no worked question; after a line of five hyphens each begins with 'Q: '.")
    return rows
