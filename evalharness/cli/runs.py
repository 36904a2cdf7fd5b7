"""`evalharness runs`: the runs on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = "List the runs: task, model, score, state."

app = typer.Typer(help=HELP)


@app.command(help=HELP)
def runs(
    folder: Annotated[Path, typer.Argument(help="Where to look.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    import json

    from evalharness.cli.printing import shown
    from evalharness.records.folder import find_runs
    from evalharness.records.run import protocol_of
    from evalharness.text_table import columns

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
