"""The shell of a page: one file that needs nothing from a network, light or dark, read by people and screen readers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path


@cache
def asset(name: str) -> str:
    """A style sheet or script of this folder."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def page(title: str, body: str, *, styles: Sequence[str] = (), scripts: Sequence[str] = ()) -> str:
    """A whole HTML page.

    Args:
        title: plain text; also the page's heading.
        body: HTML, already escaped.
        styles: CSS after the common one.
        scripts: JavaScript after the body; a closing tag inside would end it, so it must hold none.
    """
    style = "\n".join([asset("style.css"), *styles])
    script = "".join(f"<script>\n{text}\n</script>\n" for text in [asset("sort.js"), *scripts])
    return (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # The icon is empty, so that no browser asks for one.
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}\n</style>\n</head>\n"
        f'<body>\n<a class="skip" href="#main">Skip to content</a>\n<header><h1>{escape(title)}</h1></header>\n'
        f'<main id="main">\n{body}\n</main>\n{script}</body>\n</html>\n'
    )
