"""Whole trainings leave torch as it was, and measure no machine."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
import torch
from stack.training.tiny_pretraining import corpus

from evalharness.run.unchanged import unchanged
from evalharness.stack.training import setup
from evalharness.stack.training.peaks import Peak


@pytest.fixture(scope="session")
def texts_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the corpus of `tiny_pretraining` lies."""
    return corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def base(texts_corpus: Path, tmp_path: Path) -> Path:
    """A folder of its own with the corpus in it."""
    (tmp_path / "corpus").symlink_to(texts_corpus / "corpus")
    return tmp_path


@pytest.fixture
def _training(monkeypatch: pytest.MonkeyPatch) -> Generator[None, None, None]:
    monkeypatch.setattr(setup, "machine_peak", lambda device, dtype: Peak(1e10, "a number of this test"))
    with unchanged():
        torch.set_num_threads(1)
        yield
