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

    from evalharness.cli.report import shown
    from evalharness.records.folder import find_runs

    rows = []
    for run in find_runs(folder):
        record, results = run.record, run.results
        label, score = next(iter(results.scores.items())) if results else ("", None)
        rows.append(
            {
                "path": str(run.path),
                "task": record.task,
                "protocol": record.protocol,
                "model": record.model["name"],
                "metric": label,
                "score": shown(score) if score else "",
                "samples": f"{results.samples if results else 0} of {record.samples}",
                "state": "rescored" if record.rescored_from and record.state == "finished" else record.state,
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    elif not rows:
        typer.echo(f"no runs in {folder}; `evalharness run --task NAME` makes one.")
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table(*rows[0], box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row.values())
        console = Console()
        console.print(table, soft_wrap=not console.is_terminal)
