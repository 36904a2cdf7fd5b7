"""The site builds without a warning, and the Python reference shows the public interface."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from e2e.command import CLONE


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    ended = subprocess.run(build, cwd=CLONE, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    for page in (CLONE / "docs").glob("*.md"):
        built = site / "index.html" if page.stem == "index" else site / page.stem / "index.html"
        assert built.is_file(), page.name
    assert (site / "architecture.svg").is_file()


@pytest.mark.parametrize(
    "fragment",
    ["evaluate", "load_model", "load_task", "read_run", "Raises:", 'class="doc doc-heading"', "Sampling", "UsageError"],
)
def test_the_reference_shows_the_public_interface(site: Path, fragment: str) -> None:
    assert fragment in (site / "reference/index.html").read_text(encoding="utf-8")


def test_no_docstring_is_shown_raw(site: Path) -> None:
    """Sections of a docstring become tables; a line that begins with their name was not understood."""
    text = (site / "reference/index.html").read_text(encoding="utf-8")
    assert "<p>Args:" not in text
    assert "<p>Raises:" not in text
