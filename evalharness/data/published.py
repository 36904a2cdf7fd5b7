"""Files that are published beside data sets: prompts, tables.

One is looked for in the folder ``extra/`` beside a mirror or in it, where it may be gzipped; then at its address, which
names a commit. What was fetched is kept in the user's cache.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from evalharness.data.settings import MissingDataError, SourceSettings, mirror_root
from evalharness.errors import DataError
from evalharness.hashing import sha256_text


def published_text(path: str, url: str, settings: SourceSettings, *, what: str, remedy: str) -> tuple[str, str]:
    """The file's text, and where it was found.

    Args:
        what: what the file is, for the sentence that it is missing.
        remedy: what would help then.

    Raises:
        MissingDataError: the file is neither at hand nor can it be fetched.
        DataError: it is at hand and no text.
    """
    if (file := beside_mirror(path, settings)) is not None:
        return _read(file), f"extra/{path}"
    cached = cache_folder("prompts") / sha256_text(url)
    if cached.is_file():
        return cached.read_text(encoding="utf-8"), url
    text = _fetched(path, url, settings, what, remedy)
    cached.parent.mkdir(parents=True, exist_ok=True)
    cached.write_text(text, encoding="utf-8")
    return text, url


def beside_mirror(path: str, settings: SourceSettings) -> Path | None:
    """The file in the folder ``extra/``, plain or gzipped; None where it is not there."""
    root = mirror_root(settings)
    folders = (root.parent / "extra", root / "extra") if root else ()
    files = (folder / name for folder in folders for name in (path, f"{path}.gz"))
    return next((file for file in files if file.is_file()), None)


def cache_folder(name: str) -> Path:
    """A folder of the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evalharness" / name


def _read(file: Path) -> str:
    try:
        content = file.read_bytes()
        return (gzip.decompress(content) if file.suffix == ".gz" else content).decode("utf-8")
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{file}: cannot be read ({error}); it should be UTF-8 text.") from None


def _fetched(path: str, url: str, settings: SourceSettings, what: str, remedy: str) -> str:
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
        f"{what} {path} are missing; tried: extra/{path} of the data folder, {url} ({why}); what would help: {remedy}."
    )
