"""A browser page for tests of what is shown: it may load nothing from elsewhere, and must not complain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = Path("/usr/bin/chromium")
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@pytest.fixture
def browser_page() -> Iterator[Any]:
    """A Playwright page. At the end: no error in the console, no request that left this machine."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} is not installed")
    errors: list[str] = []
    outside: list[str] = []
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: None if _inside(request.url) else outside.append(request.url))
        yield page
        browser.close()
    assert not errors, errors
    assert not outside, outside


def _inside(url: str) -> bool:
    place = urlsplit(url)
    return place.scheme in ("file", "data", "blob", "about") or place.hostname in LOOPBACK
