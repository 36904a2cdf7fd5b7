"""`evalharness rescore RUN`: today's parsers and metrics on an old journal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = "Score a run's journal again with today's parsers and metrics; no model, no data."

app = typer.Typer(help=HELP)

SHOWN = 20


@app.command(help=HELP)
def rescore(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    output: Annotated[Path | None, typer.Option(help="The new run's folder, in place of RUN-rescored.")] = None,
    include: Annotated[list[Path] | None, typer.Option(help="A folder with task files of your own.")] = None,
    trust_code: Annotated[bool, typer.Option("--trust-code", help="Run the components.py of those folders.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    import json
    from dataclasses import asdict

    from evalharness.cli.printing import as_json as json_of
    from evalharness.cli.printing import block
    from evalharness.records.folder import read_run
    from evalharness.run.rescore import rescore as score_again

    result = score_again(read_run(run), output, tuple(include or ()), trust_code=trust_code)
    if as_json:
        facts = {**json_of(result.run, result.results), "changes": [asdict(change) for change in result.changes]}
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=1))
        return
    for line in block(result.run, result.results):
        typer.echo(line)
    typer.echo(f"{len(result.changes)} of {result.results.samples} samples changed")
    for change in result.changes[:SHOWN]:
        typer.echo(
            f"  {change.id}: {change.answer_before!r} {dict(change.before)} -> {change.answer_now!r} {dict(change.now)}"
        )
    if len(result.changes) > SHOWN:
        typer.echo(f"  ... and {len(result.changes) - SHOWN} more (--json lists them all)")
