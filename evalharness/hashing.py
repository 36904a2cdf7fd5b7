"""One canonical text for a value and one hash for a text, so that two machines agree on what is the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

# Made once: `json.dumps` with these arguments builds a new encoder a call, three times the cost for a short row.
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def canonical_json(obj: Any) -> str:
    """JSON with sorted keys, no spaces, text unescaped and floats as their shortest `repr`.

    ``1`` and ``1.0`` differ, a tuple is a list. Equal values have equal texts whatever the order of their keys.

    Raises:
        TypeError: a value that JSON does not know: bytes, a date, an array.
        ValueError: a float that is not finite.
    """
    return _ENCODER.encode(obj)


def sha256_text(text: str) -> str:
    """sha256 of the UTF-8 of a text, 64 hex digits. A lone surrogate (JSON can spell one) is hashed as it stands."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sha256_file(path: Path) -> str:
    """sha256 of a file's bytes as they lie on disk (compressed, where it is), 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
