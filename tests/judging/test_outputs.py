"""APPS' comparison of outputs. Every value in the table is what its own ``testing_util.py`` (commit 362aedc) says."""

from __future__ import annotations

import pytest

from evalharness.judging.outputs import same_output

TABLE = [
    ("3\n", "3", True),
    ("3", "4", False),
    ("", "", True),
    ("", "3", False),
    ("  3  \n\n", "3", True),
    (" a \n b\n", "a\nb", True),
    ("a  b", "a b", True),
    ("a\nb", "a b", False),
    ("a\nb\n", "a\n\nb\n", True),
    ("a\n\nb", "a\nb", True),
    ("a\r\nb", "a\nb", True),
    ("a\n\nb", "a\n \nb", True),
    ("1.000001\n2", "1\n2", True),
    ("1.0001\n2", "1\n2", True),
    ("1.001\n2", "1\n2", False),
    ("100.001", "100", True),
    ("100.0011", "100", False),
    ("1000.01", "1000", True),
    ("1e3", "1000.0", True),
    ("inf", "inf", True),
    ("Infinity", "inf", True),
    ("5", "inf", False),
    ("nan", "NaN", False),
    ("1.0 2.0001", "1 2", True),
    ("1.0 2.001", "1 2", False),
    ("2 1", "1 2", True),
    ("1 1 2", "1 2 2", True),
    ("b\na", "a\nb", True),
    ("a\na\nb", "a\nb", True),
    ("a\nb\nc", "a\nb", False),
    ("Yes", "YES", False),
    ("1 2\n3", "1 2 3", False),
    ("a", "a\n  \n", True),
    ("b\na", "a\nb\n \nc", False),
    ("b\na", "a\nb\n ", False),
]
"""Printed, right, whether that counts as right."""


@pytest.mark.parametrize(("printed", "right", "same"), TABLE)
def test_rules(printed: str, right: str, same: bool) -> None:
    assert same_output(printed, right) is same
