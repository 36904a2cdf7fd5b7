"""`evalharness doctor`: what is installed and found, and what to type to get the missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from evalharness.errors import ServiceError

if TYPE_CHECKING:
    from evalharness.cli.health import Item

HELP = "Say what is installed and found here, and what to type to get what is missing."

app = typer.Typer(help=HELP)

MARKS = {"ok": "ok     ", "missing": "MISSING", "note": "-      "}
NEEDED_BY_RUN = ("needed", "our own models", "smollm2", "runs")
"""Without these, `run` with the default model cannot work."""


@app.command(help=HELP)
def doctor(
    part: Annotated[
        Literal["all", "sandbox"], typer.Argument(help="sandbox: try every level of isolation (docs/security.md).")
    ] = "all",
    sandbox_image: Annotated[str | None, typer.Option(help="An image, to try the level container with.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="A mirror of data sets (docs/data.md).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    from evalharness.cli import health
    from evalharness.data.sources import SourceSettings

    if part == "sandbox":
        levels = list(health.sandbox_levels(sandbox_image))
        _tell({"sandbox": levels}, as_json)
        isolated = [item for item in levels if item.name in ("bwrap", "landlock", "container")]
        if not any(item.state == "ok" for item in isolated) or any(item.state == "missing" for item in isolated):
            raise ServiceError("model-written code cannot be isolated here: see the levels above.")
        return
    sections = {
        "packages": list(health.packages()),
        "models": list(health.models()),
        "data": list(health.data(SourceSettings(data_dir=data_dir))),
        "machine": list(health.machine()),
        "sandbox": list(health.sandbox()),
        "disk": list(health.disk(Path("runs"))),
        "environment": list(health.variables()),
    }
    _tell(sections, as_json)
    missing = [item.name for items in sections.values() for item in items if item.state == "missing"]
    if stopped := [name for name in missing if name in NEEDED_BY_RUN]:
        raise ServiceError(f"evalharness run cannot measure its default model here: see {', '.join(stopped)} above.")


def _tell(sections: dict[str, list[Item]], as_json: bool) -> None:
    import json
    from dataclasses import asdict

    if as_json:
        told = {title: [asdict(item) for item in items] for title, items in sections.items()}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
    else:
        for title, items in sections.items():
            _print(title, items)


def _print(title: str, items: list[Item]) -> None:
    if items:
        typer.secho(title, bold=True)
    for item in items:
        typer.echo(f"  {MARKS[item.state]} {item.name}: {item.what}")
        if item.fix:
            typer.echo(f"          type: {item.fix}" if item.state == "missing" else f"          for it: {item.fix}")
