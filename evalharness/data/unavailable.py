"""The one way in which a source says that it does not have the rows."""

from __future__ import annotations


class Unavailable(Exception):
    """A source does not have the split; the next one is tried. Its text is a clause: what was tried, and why not."""
