"""The colour of a verdict's label, or of the status of a tool's use: a class of `code.css`."""

from __future__ import annotations

import zlib

_CLASSES = {
    "pass": "pass",
    "fail": "fail",
    "error": "error",
    "timeout": "timeout",
    "memory": "memory",
    "output_limit": "output-limit",
    "sandbox_error": "sandbox-error",
    "win": "pass",
    "loss": "fail",
    "unparsed": "error",
    "ok": "pass",
    "finished": "pass",
    "invalid": "error",
    "malformed": "error",
    "unknown": "error",
}
_OTHERS = 4


def badge_class(label: str) -> str:
    """A class for any label: those of executions have one each, any other the same one every time."""
    return _CLASSES.get(label) or f"other-{zlib.crc32(label.encode(errors='surrogatepass')) % _OTHERS}"
