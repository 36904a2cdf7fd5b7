"""Equal values have equal texts and hashes, different ones differ, and what JSON does not know is refused."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.hashing import canonical_json, sha256_file, sha256_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_the_text_reads_back_as_the_value(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(st.text(), VALUES, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any], shuffler: random.Random) -> None:
    keys = list(value)
    shuffler.shuffle(keys)
    assert canonical_json({key: value[key] for key in keys}) == canonical_json(value)


def test_the_text_is_this_one() -> None:
    assert (
        canonical_json({"b": [1, 1.0, 0.1], "a": "é\n\u2028", "c": None})
        == '{"a":"é\\n\u2028","b":[1,1.0,0.1],"c":null}'
    )


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object()])
def test_what_json_does_not_know_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical_json({"column": value})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_floats_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json([value])


def test_hash_of_a_text_is_that_of_its_utf8() -> None:
    assert sha256_text("naïve") == hashlib.sha256("naïve".encode()).hexdigest()
    assert sha256_text(json.loads('"\\ud800"')) != sha256_text("?")


def test_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\x00\xff" * 100_000)
    assert sha256_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()
