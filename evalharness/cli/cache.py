"""`evalharness cache`: what the response cache holds, and deleting from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evalharness.backends.cache import ResponseStore

HELP = "The response cache (`run --cache`): what it holds, and deleting from it."

app = typer.Typer(help=HELP, no_args_is_help=True)

_FOLDER = typer.Option("--dir", help="The cache's folder, in place of ~/.cache/evalharness.")


@app.command(help="Say how many answers of which models are kept.")
def stats(
    folder: Annotated[Path | None, _FOLDER] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    import json
    from datetime import datetime

    found = _store(folder).stats()
    oldest = None if found.oldest is None else datetime.fromtimestamp(found.oldest).isoformat(timespec="seconds")
    if as_json:
        told = {"path": str(found.path), "answers": found.answers, "bytes": found.bytes}
        typer.echo(json.dumps({**told, "models": dict(found.models), "oldest_use": oldest}))
        return
    typer.echo(f"{found.path}: {found.answers:,} answers, {found.bytes / 1e6:,.1f} MB")
    for model, answers in found.models.items():
        typer.echo(f"  {answers:>10,}  {model}")
    if oldest:
        typer.echo(f"the one unused for longest was used at {oldest}")


@app.command(help="Delete answers and give their room back.")
def prune(
    folder: Annotated[Path | None, _FOLDER] = None,
    days: Annotated[float | None, typer.Option(help="Those that nobody asked for in so many days.")] = None,
    model: Annotated[str | None, typer.Option(help="Those of this model, as `stats` names it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
) -> None:
    from evalharness.errors import UsageError

    if everything == (days is not None or model is not None):
        raise UsageError("say what to delete: --days N, --model NAME or both, or --all.")
    store = _store(folder)
    if model is not None and model not in (known := store.stats().models):
        from evalharness.errors import nearest

        raise UsageError(f"--model {model}: the cache has no answer of it; {nearest(model, known)}")
    count = store.prune(unused_for=None if days is None else days * 86_400, model=model)
    typer.echo(f"deleted {count:,} answers of {store.path}")


def _store(folder: Path | None) -> ResponseStore:
    from evalharness.backends.cache import FILE, ResponseStore
    from evalharness.cli.folders import default_cache
    from evalharness.errors import UsageError

    place = folder or default_cache()
    if not (place / FILE).is_file():
        raise UsageError(f"{place}: there is no cache; `evalharness run --cache` makes one.")
    return ResponseStore(place)
