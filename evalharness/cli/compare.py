"""`evalharness compare RUN RUN...`: runs beside the first one of their task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = "Compare runs sample by sample: difference, interval, p, flips, and what so many samples could have seen."

app = typer.Typer(help=HELP)


@app.command(help=HELP)
def compare(
    runs: Annotated[list[Path], typer.Argument(
        help="Runs' folders, baselines, or folders of them; others are compared with the first of their task.")],
    metric: Annotated[str | None, typer.Option(help="In place of each task's first metric.")] = None,
    subjects: Annotated[bool, typer.Option("--subjects", help="Show every subject of a task.")] = False,
    correction: Annotated[str, typer.Option(help="Of p over the tasks: holm, bh (Benjamini-Hochberg), none.")] = "holm",
    alpha: Annotated[float, typer.Option(help="Adjusted p below which a difference is called one.")] = 0.05,
    across_protocols: Annotated[bool, typer.Option(
        "--across-protocols", help="Compare protocols and demonstrations that differ on purpose.")] = False,
    force: Annotated[bool, typer.Option(
        "--force", help="Compare what does not compare; every line says so.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, flipped samples included.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
) -> None:  # fmt: skip
    import json

    from evalharness.comparison import compare_formats
    from evalharness.comparison.compare import CORRECTIONS
    from evalharness.comparison.compare import compare as compare_runs
    from evalharness.comparison.sources import load_all
    from evalharness.errors import UsageError, nearest

    if correction not in CORRECTIONS:
        raise UsageError(f"--correction {correction}: {nearest(correction, CORRECTIONS)}")
    if not 0 < alpha < 1:
        raise UsageError(f"--alpha {alpha}: a level lies between 0 and 1, as 0.05 does.")
    found = compare_runs(
        load_all(runs),
        metric=metric,
        force=force,
        correction=correction,
        alpha=alpha,
        across_protocols=across_protocols,
    )
    if as_json:
        typer.echo(json.dumps(compare_formats.as_json(found), ensure_ascii=False, indent=1))
        return
    lines = compare_formats.markdown(found) if as_markdown else compare_formats.text(found, subjects=subjects)
    for line in lines:
        typer.echo(line)
