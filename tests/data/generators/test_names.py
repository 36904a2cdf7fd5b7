"""Enough names, of different lengths, each once."""

from __future__ import annotations

from typing import Literal

import pytest

from evalharness.data.generators.names import names


@pytest.mark.parametrize("which", ["first", "last"])
def test_names_are_many_and_vary(which: Literal["first", "last"]) -> None:
    listed = names(which)
    assert len(listed) == len(set(listed)) > 350
    assert all(name.isalpha() and name.isascii() and name[0].isupper() for name in listed)
    assert len({len(name) for name in listed}) >= 9
