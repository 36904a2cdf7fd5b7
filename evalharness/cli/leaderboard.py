"""`evalharness leaderboard`: tables of many models, from runs and committed baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evalharness.leaderboards.options import Leaderboard
    from evalharness.leaderboards.sources import Sources

app = typer.Typer(help="Tables of many models, from runs and committed baselines.", no_args_is_help=True)

Definition = Annotated[str, typer.Argument(help="A shipped leaderboard's name, or a YAML file (docs/leaderboards.md).")]
Baselines = Annotated[Path | None, typer.Option(
    help="Committed baselines, in place of baselines/NAME beside the file.")]  # fmt: skip
Output = Annotated[Path | None, typer.Option(help="Folder of the table, in place of NAME/ beside the file.")]


@app.command("build", help="Write the table as Markdown, CSV, LaTeX, JSON and a page.")
def build(
    definition: Definition,
    runs: Annotated[Path | None, typer.Option(help="A folder of runs, beside the committed baselines.")] = None,
    baselines: Baselines = None,
    output: Output = None,
    check: Annotated[bool, typer.Option(
        "--check", help="Write nothing; fail with code 1 where the table that is there differs.")] = False,
) -> None:  # fmt: skip
    from evalharness.leaderboards.options import load_leaderboard
    from evalharness.leaderboards.sources import baselines_of, check_complete, collect

    path, board = load_leaderboard(definition)
    found = collect(path, board, runs=runs, baselines=baselines)
    places = [baselines or baselines_of(path, board), *([runs] if runs else [])]
    check_complete(path, board, found, places)
    _finish(path, board, found, output, check=check)


@app.command("update", help="Add or replace runs in a leaderboard's committed baselines, and write the table anew.")
def update(
    definition: Definition,
    runs: Annotated[list[Path], typer.Argument(help="Runs' folders, baselines, or folders of them.")],
    baselines: Baselines = None,
    output: Output = None,
    why: Annotated[str, typer.Option(help="Why these now; kept in each baseline's history.")] = "",
    by: Annotated[str | None, typer.Option(help="Who says so; the name in git's configuration, or the user's.")] = None,
) -> None:
    from datetime import UTC, datetime

    from evalharness.cli.baseline import user_name
    from evalharness.comparison.sources import load_all
    from evalharness.errors import DataError
    from evalharness.leaderboards.building import build as built
    from evalharness.leaderboards.options import load_leaderboard
    from evalharness.leaderboards.sources import baselines_of, check_complete, collect
    from evalharness.leaderboards.update import owner, replaced, target
    from evalharness.records.baseline import save_baseline

    path, board = load_leaderboard(definition)
    named = baselines if baselines and baselines.is_dir() else None  # one that is not there yet is made
    found = collect(path, board, baselines=named)
    folder, given = baselines or baselines_of(path, board), []
    for scores in load_all(runs):
        model = owner(board, scores)
        given.append((model, scores, target(path, model, scores, found[model.name], folder)))
    for model, scores, _ in given:
        found = replaced(found, model, scores)
    try:  # what does not compare is refused before anything is written
        check_complete(path, board, found, [folder])
        built(path, board, found, path.parent)
        unready = None
    except DataError as error:  # the first of many models to come
        unready = error
    who, now = by or user_name(), datetime.now(UTC).isoformat(timespec="seconds")
    for model, scores, file in given:
        save_baseline(scores, file, by=who, why=why, date=now)
        typer.echo(f"wrote {file}: {model.name}, {scores.task}")
    if unready is not None:
        typer.echo(f"no table yet: {unready}")
        return
    _finish(path, board, collect(path, board, baselines=baselines), output, check=False)


def _finish(path: Path, board: Leaderboard, found: Sources, output: Path | None, *, check: bool) -> None:
    from evalharness.leaderboards import files
    from evalharness.leaderboards.building import build as built

    folder = output or path.parent / board.leaderboard
    table = built(path, board, found, folder)
    made = files.texts(table)
    if check:
        files.check(made, folder)
        typer.echo(f"{folder}: as built")
        return
    files.write(made, folder)
    typer.echo(f"wrote {folder}: {len(table.rows)} models, {len(table.columns)} columns, {', '.join(sorted(made))}")
    for number, note in enumerate(table.footnotes, 1):
        typer.echo(f"note {number}: {note}")
