"""Whether data are at hand, by looking where files would be: nothing is read of them, and nothing is fetched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import util
from pathlib import Path

from evalharness.data import local, mirror
from evalharness.data.options import DataOptions, PublishedOptions
from evalharness.data.published import beside_mirror, cache_folder
from evalharness.data.reachability import offline_by_choice, why_unreachable
from evalharness.data.settings import SourceSettings, mirror_root
from evalharness.data.unavailable import Unavailable
from evalharness.errors import DataError
from evalharness.hashing import sha256_text


def lacking(options: DataOptions, splits: tuple[str, ...], settings: SourceSettings, base_dir: Path) -> str | None:
    """What of these splits and of the files beside them is nowhere to be found; None where everything is at hand, or
    can be fetched.

    Raises:
        UsageError: the folder of `settings.data_dir` or EVALHARNESS_DATA does not exist.
    """
    rows = (_lacking_rows(options, split, settings, base_dir) for split in splits)
    beside = (lacking_file(file, settings) for file in _files(options))
    if found := next(filter(None, [*rows, *beside]), None):
        return found
    corpora = options.retrieve.corpus.sources if options.retrieve else ()
    missing = (lacking(source.data, (source.data.split,), settings, base_dir) for source in corpora)
    return next(filter(None, missing), None)


def lacking_file(file: PublishedOptions, settings: SourceSettings, subset: str | None = None) -> str | None:
    """The path of a published file that is neither at hand nor can be fetched."""
    path, url = (text.replace("{subset}", subset or "") for text in (file.path, file.url))
    at_hand = beside_mirror(path, settings) or (cache_folder("prompts") / sha256_text(url)).is_file()
    return None if at_hand or _network(settings) else f"extra/{path}"


def _files(options: DataOptions) -> Iterator[PublishedOptions]:
    yield from options.tables.values()
    yield from options.texts.values()


def _lacking_rows(options: DataOptions, split: str, settings: SourceSettings, base_dir: Path) -> str | None:
    """What the rows are called where no source has them, with the first configuration that is missing."""
    if options.generator:
        return None
    if options.published:
        return lacking_file(options.published, settings)
    if options.subsets_are_splits:
        places = [(options.config, split.replace("{subset}", subset)) for subset in options.subset_names]
    else:
        configs = options.subset_names if options.subset_names and not options.subset_column else (options.config,)
        places = [(config, split) for config in configs]
    for config, split in places:
        if not _at_hand(options, split, config, settings, base_dir):
            wanted = f"{options.name} ({config})" if config else options.name
            return f"{wanted}, split '{split}'"
    return None


def _at_hand(options: DataOptions, split: str, config: str | None, settings: SourceSettings, base_dir: Path) -> bool:
    if options.hub and (root := mirror_root(settings)):
        try:
            mirror.locate(root, options, config, split)
        except Unavailable:
            pass
        else:
            return True
    if options.file:
        subset = config if options.subset_names else None
        try:
            if options.package:
                local.in_package(options, split, subset)
                return True
            return local.path_of(options, split, subset, base_dir).is_file()
        except (Unavailable, DataError):
            pass
    hub = bool(options.hub) and util.find_spec("datasets") is not None
    return hub and (_cached(str(options.hub)) or _network(settings))


def _network(settings: SourceSettings) -> bool:
    """Whether what is not here may be fetched: the hub answers, which stands for the network as a whole."""
    return settings.hub and offline_by_choice() is None and why_unreachable(settings.timeout) is None


def _cached(hub: str) -> bool:
    """Whether the cache of the library datasets has a folder of this data set."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cache = Path(os.environ.get("HF_DATASETS_CACHE") or home / "datasets")
    return (cache / hub.replace("/", "___")).is_dir()
