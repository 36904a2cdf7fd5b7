"""What the user says about where data is, and the error that says that it is nowhere."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from evalharness.errors import ServiceError, UsageError


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
