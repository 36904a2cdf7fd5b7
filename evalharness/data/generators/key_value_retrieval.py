"""Key-value retrieval: find the value of one key in a JSON object whose keys and values are random UUIDs.

After Liu et al. 2023, arXiv:2307.03172 (section 3.1), with fewer pairs: 10 in the demonstrations and in ``test``, 25 in
``test_longer``. Nothing but the context can give the answer.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any
from uuid import UUID

from evalharness.data.generators.splits import IN_DOMAIN, LONGER, random_stream
from evalharness.errors import DataError, nearest

ROWS = 500
"""Of a split; a row is some thousand characters long."""
PLACES = ("first", "middle", "last")
"""Thirds of the object that the key may stand in."""

_PAIRS = {**dict.fromkeys(IN_DOMAIN, 10), LONGER: 25}


def generate(split: str) -> list[dict[str, Any]]:
    """500 rows with the columns ``question`` (the key), ``answer``, ``object`` (as JSON), ``place`` and ``keys``.

    Keys are asked at every position in turn.

    Raises:
        DataError: no such split.
    """
    if split not in _PAIRS:
        raise DataError(f"generated data have no split '{split}'; {nearest(split, _PAIRS)}")
    pairs, stream = _PAIRS[split], random_stream("key_value_retrieval", split)
    rows = [_row(stream, pairs, number % pairs) for number in range(ROWS)]
    stream.shuffle(rows)
    return rows


def _row(stream: Random, pairs: int, position: int) -> dict[str, Any]:
    uuids = [str(UUID(int=stream.getrandbits(128), version=4)) for _ in range(2 * pairs)]
    keys, values = uuids[:pairs], uuids[pairs:]
    return {
        "question": keys[position],
        "answer": values[position],
        "object": json.dumps(dict(zip(keys, values, strict=True)), indent=1),
        "place": PLACES[3 * position // pairs],
        "keys": keys,
    }
