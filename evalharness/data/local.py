"""A file of the user's own, or one inside an installed package."""

from __future__ import annotations

from functools import cache
from importlib import metadata, util
from pathlib import Path

from evalharness.data.files import read_rows
from evalharness.data.options import DataOptions
from evalharness.data.split import Source, SourceKind, Split, make_split
from evalharness.data.unavailable import Unavailable
from evalharness.errors import DataError
from evalharness.hashing import sha256_file


def load_file(options: DataOptions, split: str, subset: str | None, base_dir: Path) -> Split:
    """A split in a local file; a relative path starts at `base_dir`, the folder of the task file.

    Raises:
        DataError: no such file, a malformed one, or one that holds another split.
    """
    path = path_of(options, split, subset, base_dir)
    if not path.is_file():
        raise DataError(f"{path}: no such file; data.file is looked up from the folder of the task file.")
    return _read(options, split, subset, path, kind="file", location=str(path), revision=None)


def load_package(options: DataOptions, split: str, subset: str | None) -> Split:
    """A split that an installed package carries; the revision is the package's version.

    Raises:
        Unavailable: the package is not installed, lacks the file, or carries another split.
        DataError: the file is malformed.
    """
    path = in_package(options, split, subset)
    location, revision = f"{options.package}:{_filled(options, split, subset)}", _version(str(options.package))
    return _read(options, split, subset, path, kind="package", location=location, revision=revision)


def path_of(options: DataOptions, split: str, subset: str | None, base_dir: Path) -> Path:
    """Where a local file of a split would be.

    Raises:
        DataError: `options.file` names the rows of another split or subset.
    """
    try:
        return base_dir / Path(_filled(options, split, subset)).expanduser()
    except Unavailable as reason:
        raise DataError(f"data.file: {reason}.") from None


def in_package(options: DataOptions, split: str, subset: str | None) -> Path:
    """The file of a split in an installed package.

    Raises:
        Unavailable: the package is not installed, lacks the file, or carries another split.
    """
    package, inside = str(options.package), _filled(options, split, subset)
    for folder in _package_folders(package):
        if (path := folder / inside).is_file():
            return path
    raise Unavailable(f"the package {package} (it carries no {inside})")


def _filled(options: DataOptions, split: str, subset: str | None) -> str:
    """The path with ``{split}`` and ``{subset}`` filled in.

    Raises:
        Unavailable: the path has no place for the split or the subset, so it names the rows of another.
    """
    file = str(options.file)
    if options.join and options.join.file and split == options.join.split:
        file = options.join.file
    elif split != options.split and "{split}" not in file:
        raise Unavailable(f"{file} holds split '{options.split}' only; {{split}} in data.file would name one a split")
    if subset is not None and "{subset}" not in file:
        raise Unavailable(f"{file} cannot hold every subset; {{subset}} in data.file would name one a subset")
    return file.replace("{split}", split).replace("{subset}", subset or "")


def _read(
    options: DataOptions,
    split: str,
    subset: str | None,
    path: Path,
    *,
    kind: SourceKind,
    location: str,
    revision: str | None,
) -> Split:
    rows = read_rows(path)
    source = Source(
        kind=kind,
        location=location,
        split=split,
        config=subset or options.config,
        sha256=sha256_file(path),
        revision=revision,
        n=len(rows),
        of=options.rows.get(split) or len(rows),
    )
    return make_split(rows, None, source)


def _package_folders(package: str) -> list[Path]:
    try:
        spec = util.find_spec(package)
    except (ImportError, ValueError):  # the parent of a dotted name is missing, or it is no name at all
        spec = None
    if spec is None:
        raise Unavailable(f"the package {package} (not installed)")
    return [Path(place) for place in spec.submodule_search_locations or []]


@cache
def _version(package: str) -> str | None:
    top = package.partition(".")[0]
    distributions = metadata.packages_distributions().get(top)
    return metadata.version(distributions[0]) if distributions else None
