"""Worked questions out of a published file of a prompt: `published` says where it is looked for, `prompt_formats` how
such files are written."""

from __future__ import annotations

from evalharness.data.options import PromptFileOptions
from evalharness.data.prompt_formats import FORMATS, prompt_at
from evalharness.data.published import published_text
from evalharness.data.settings import SourceSettings
from evalharness.data.split import Source, Split, make_split
from evalharness.hashing import sha256_text


def load_prompt_file(options: PromptFileOptions, subset: str | None, settings: SourceSettings) -> Split:
    """The worked questions as rows.

    Raises:
        MissingDataError: the file is neither at hand nor can it be fetched.
        DataError: it is written in another way than `options.format` says.
    """
    path = options.path.replace("{subset}", subset or "")
    url = options.url.replace("{subset}", subset or "")
    text, location = published_text(
        path, url, settings, what="the demonstrations", remedy="--data-dir DIR with that file, a network, or --shots 0"
    )
    prompt = text if options.key is None else prompt_at(text, options.key, location)
    rows = FORMATS[options.format](prompt, location)
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
