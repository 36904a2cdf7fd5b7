"""`evalharness view DIR`: runs in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = (
    "Page through the samples of runs in a browser, and through what two runs differ by; nothing leaves this machine."
)

app = typer.Typer(help=HELP)


@app.command(help=HELP)
def view(
    folder: Annotated[Path, typer.Argument(
        metavar="DIR", help="A folder of runs, a run's folder, or its name in runs/.")] = Path("runs"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0 is any that is free.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, open nothing.")] = False,
) -> None:  # fmt: skip
    from evalharness.viewer.server import Server

    with Server(_folder(folder), port) as server:
        typer.echo(f"{server.address} shows {folder}; Ctrl-C ends it.")
        if not no_browser:
            import threading
            import webbrowser

            # Some systems wait until the browser is closed.
            threading.Thread(target=webbrowser.open, args=(server.address,), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            # The way to end it; the shell's line of the next prompt stays clean.
            typer.echo()


def _folder(named: Path) -> Path:
    from evalharness.errors import UsageError
    from evalharness.records.format import RUN

    inside = Path("runs") / named
    folder = named if named.is_dir() or not (inside / RUN).is_file() else inside
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; `evalharness run --task NAME` makes runs/ with a run in it.")
    if next(folder.rglob(RUN), None) is None:
        raise UsageError(f"{folder}: no run here (no {RUN}); `evalharness run --task NAME` makes one in runs/.")
    return folder
