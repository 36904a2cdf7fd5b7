"""One tiny model, and one server of it for all tests of a file that only ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")
pytest.importorskip("openai")

from serving.models import write_llama
from serving.servers import Served, serving

from evalharness.backends import stack
from evalharness.backends.stack import StackBackend


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("served") / "tiny")


@pytest.fixture(scope="session")
def reference(llama: Path) -> StackBackend:
    """The model again, to be asked without a server.

    Room for keys and values is little, because it is held to the last test.
    """
    return stack.load(str(llama), threads=1, kv_memory=0.05)


@pytest.fixture(scope="module")
def served(llama: Path) -> Iterator[Served]:
    with serving(stack.load(str(llama), threads=1, kv_memory=0.05)) as running:
        yield running
