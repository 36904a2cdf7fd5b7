"""From --model to a backend: kinds, options that a kind does not know, what stands in front."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from e2e.fake import Fake

from evalharness import registry
from evalharness.backends.cache import CachedBackend
from evalharness.errors import UsageError
from evalharness.run.executors.workers import Workers
from evalharness.run.models import kind_of, load_backend
from evalharness.run.options import RunOptions


def options(**values: Any) -> RunOptions:
    return RunOptions(task=("t",), **values)


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("smollm2", ("stack", "smollm2")),
        ("folder/model", ("stack", "folder/model")),
        ("stack:folder", ("stack", "folder")),
        ("hf:org/name", ("hf", "org/name")),
        ("openai:http://127.0.0.1:8000/v1#m", ("openai", "http://127.0.0.1:8000/v1#m")),
        ("./odd:name", ("stack", "./odd:name")),
    ],
)
def test_kinds(spec: str, found: tuple[str, str]) -> None:
    assert kind_of(spec) == found


def test_a_path_with_a_colon_is_a_path(here: Path) -> None:
    Path("odd:name").mkdir()
    assert kind_of("odd:name") == ("stack", "odd:name")


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown backend 'opena'; did you mean 'openai'"):
        kind_of("opena:gpt")


@pytest.fixture
def picky(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A kind of model that knows two options and one of its own; what it was loaded with."""
    seen: dict[str, Any] = {}

    def load(spec: str, *, dtype: str | None = None, time_limit: float | None = None, flavour: str = "plain") -> Fake:
        seen.update(dtype=dtype, time_limit=time_limit, flavour=flavour)
        return Fake(name=spec)

    monkeypatch.setitem(registry._TRUSTED["backend"], "picky", load)
    return seen


def test_options_reach_the_loader_by_name(picky: dict[str, Any]) -> None:
    load_backend("picky:x", options(dtype="bfloat16", time_limit=3.0, model_options={"flavour": "sour"}))
    assert picky == {"dtype": "bfloat16", "time_limit": 3.0, "flavour": "sour"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"threads": 2}, "--threads: models of the kind 'picky' have no such option"),
        ({"max_cost": 2.0}, "--max-cost: models of the kind 'picky' have no such option"),
        ({"model_options": {"flavor": "sour"}}, "--model-option flavor: .*did you mean 'flavour'"),
        ({"reasoning": "thnk"}, "--reasoning thnk: no such rule"),
    ],
)
def test_what_a_kind_does_not_know_is_refused(picky: dict[str, Any], asked: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        load_backend("picky:x", options(**asked))


def test_the_cache_stands_in_front_of_thoughts_and_those_of_workers(picky: dict[str, Any], tmp_path: Path) -> None:
    backend = load_backend("picky:x", options(executor="process", reasoning="think", cache=tmp_path / "cache"))
    assert isinstance(backend, CachedBackend)
    assert isinstance(backend.inner.inner, Workers)  # type: ignore[attr-defined]
    backend.close()
