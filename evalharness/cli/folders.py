"""Folders of the user's own machine."""

from __future__ import annotations

import os
from pathlib import Path


def default_cache() -> Path:
    """``$XDG_CACHE_HOME/evalharness``, or ``~/.cache/evalharness``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "evalharness"
