"""`evalharness runs`: the runs on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = "List the runs: task, model, score, state; or fill in the layout of a suite from them."

app = typer.Typer(help=HELP)


@app.command(help=HELP)
def runs(
    folder: Annotated[Path, typer.Argument(help="Where to look.")] = Path("runs"),
    suite: Annotated[str | None, typer.Option(help="The table of this suite, in its published layout.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="A mirror of data sets, to say why cells are empty.")] = None,
    include: Annotated[list[Path], typer.Option(
        "--include", help="A folder with task files of your own (repeatable).")] = [],  # noqa: B006 (typer's way)
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:  # fmt: skip
    import json

    from evalharness.cli.printing import shown
    from evalharness.records.folder import find_runs
    from evalharness.records.run import protocol_of
    from evalharness.text_table import columns

    if suite is not None:
        _table(folder, suite, data_dir, include, as_json=as_json)
        return
    rows = []
    for run in find_runs(folder):
        record, results = run.record, run.results
        label, score = next(iter(results.scores.items())) if results else ("", None)
        rows.append(
            {
                "task": record.task,
                "protocol": protocol_of(record),
                "model": record.model["name"],
                "metric": label,
                "score": shown(score) if score else "",
                "samples": f"{results.samples if results else 0} of {record.samples}",
                "state": "rescored" if record.rescored_from and record.state == "finished" else record.state,
                "path": str(run.path),
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    elif not rows:
        typer.echo(f"no runs in {folder}; `evalharness run --task NAME` makes one.")
    else:
        for line in columns([tuple(rows[0]), *(tuple(row.values()) for row in rows)]):
            typer.echo(line)


def _table(folder: Path, name: str, data_dir: Path | None, include: list[Path], *, as_json: bool) -> None:
    import json

    from evalharness.cli.suite_view import table_json, table_lines
    from evalharness.data.settings import SourceSettings
    from evalharness.errors import UsageError
    from evalharness.records.folder import find_runs
    from evalharness.run.suite_tables import suite_table
    from evalharness.tasks.availability import why_missing
    from evalharness.tasks.task import suites_in

    suite = next((suite for suite in suites_in([name], include) if suite.layout), None)
    if suite is None:
        raise UsageError(f"--suite {name}: this is no suite with a layout; survey_table_16 is one.")
    table = suite_table(suite, find_runs(folder), why_missing(SourceSettings(data_dir=data_dir, hub=False), include))
    if as_json:
        typer.echo(json.dumps(table_json(table), ensure_ascii=False, indent=1))
    elif not table.models:
        typer.echo(f"no runs of {suite.suite} in {folder}; `evalharness run --task {suite.suite}` makes them.")
    else:
        for line in table_lines(table):
            typer.echo(line)
