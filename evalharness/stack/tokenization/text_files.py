"""Files of texts: which there are, and the names and domains that reports know them by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evalharness.stack.errors import TextFileError

ENDINGS = (".txt", ".txt.gz", ".jsonl", ".jsonl.gz", ".parquet")


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file of texts, by the name and the domain that reports know it by."""

    path: Path
    name: str
    domain: str

    def sha256(self) -> str:
        """Of the file as it lies on the disk."""
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def find_text_files(inputs: Iterable[str]) -> list[TextFile]:
    """The files that inputs name, each ``PATH`` or ``DOMAIN=PATH``: a file, or a folder with all the files below it.

    The order is that of the inputs, and of the names within a folder. A file's domain, unless given, is the folder of
    the input that it lies in, the input's own name where it lies in it directly.

    Raises:
        TextFileError: no such file, a folder without texts, an ending that is not known, a file named twice.
    """
    found: list[TextFile] = []
    for given in inputs:
        domain, path = _domain_and_path(given)
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file() and file.name.endswith(ENDINGS))
            if not inside:
                raise TextFileError(f"{path} holds no texts; files that end in {', '.join(ENDINGS)} are read.")
            name = path.resolve().name
            for file in inside:
                parts = file.relative_to(path).parts
                found.append(TextFile(file, "/".join((name, *parts)), domain or (parts[0] if parts[1:] else name)))
        elif not path.is_file():
            raise TextFileError(f"{path} does not exist; give a file or folder of texts, or DOMAIN=PATH.")
        elif not path.name.endswith(ENDINGS):
            raise TextFileError(f"{path} is of no known kind; files that end in {', '.join(ENDINGS)} are read.")
        else:
            found.append(TextFile(path, path.name, domain or path.name.split(".")[0]))
    places = [file.path.resolve() for file in found]
    for place in places:
        if places.count(place) > 1:
            raise TextFileError(f"{place} is named twice, and its texts would count twice; name it once.")
    return found


def _domain_and_path(given: str) -> tuple[str | None, Path]:
    domain, equals, rest = given.partition("=")
    if not equals or not domain or Path(given).exists():
        return None, Path(given).expanduser()
    return domain, Path(rest).expanduser()
