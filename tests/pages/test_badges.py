"""Every label has a class that the style sheet knows."""

from __future__ import annotations

from typing import get_args

import pytest

from evalharness.pages.badges import badge_class
from evalharness.pages.highlight import KINDS
from evalharness.pages.shell import asset
from evalharness.sandbox.outcome import Status

STYLE = asset("code.css")


@pytest.mark.parametrize("label", [*get_args(Status), "ok", "invalid", "win", "tie", "loss", "a", "\ud800", '"><b>'])
def test_a_label_has_a_colour_in_light_and_dark(label: str) -> None:
    name = badge_class(label)
    assert f".{name} {{ --label: var(--label-{name}); }}" in STYLE
    assert f"--label-{name}:" in STYLE


def test_outcomes_of_executions_are_told_apart() -> None:
    names = [badge_class(status) for status in get_args(Status)]
    assert len(set(names)) == len(names)
    assert not any(name.startswith("other") for name in names)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "unseen"])
def test_a_kind_of_code_has_a_colour(kind: str) -> None:
    assert f".code .{kind} {{" in STYLE
