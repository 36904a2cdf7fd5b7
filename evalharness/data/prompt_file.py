"""Worked questions out of a published file of a prompt, as BIG-Bench Hard has one for each of its tasks.

The file holds, after a rule of five hyphens, a description and then questions with their answers::

    -----
    Infer the date from context.

    Q: Tomorrow is ...
    A: Let's think step by step. ...

It is looked for in the folder ``extra/`` beside the mirror, then at its address, pinned by a commit.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from evalharness.data.options import PromptFileOptions
from evalharness.data.sources import MissingDataError, SourceSettings, mirror_root
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
    text, location = _text(path, url, settings)
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


def _text(path: str, url: str, settings: SourceSettings) -> tuple[str, str]:
    """The file's text, and where it was found."""
    root = mirror_root(settings)
    for folder in (root.parent / "extra", root / "extra") if root else ():
        if (folder / path).is_file():
            return (folder / path).read_text(encoding="utf-8"), f"extra/{path}"
    cached = _cache() / sha256_text(url)
    if cached.is_file():
        return cached.read_text(encoding="utf-8"), url
    text = _fetched(path, url, settings)
    cached.parent.mkdir(parents=True, exist_ok=True)
    cached.write_text(text, encoding="utf-8")
    return text, url


def _fetched(path: str, url: str, settings: SourceSettings) -> str:
    if not settings.hub:
        why = "not asked"
    elif os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        why = "HF_HUB_OFFLINE is set"
    else:
        try:
            with urlopen(url, timeout=settings.timeout) as answer:
                return str(answer.read().decode("utf-8"))
        except (URLError, OSError, ValueError) as error:
            why = str(getattr(error, "reason", error))
    raise MissingDataError(
        f"the demonstrations {path} are missing; tried: extra/{path} of the data folder, {url} ({why}); what would "
        "help: --data-dir DIR with that file, a network, or --shots 0."
    )


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evalharness" / "prompts"


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
