"""`evalharness export RUN`: a run for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = "Hand a run to other tools: parquet, csv, JSON lines, Weights & Biases, MLflow."

app = typer.Typer(help=HELP)


@app.command(help=HELP)
def export(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    to: Annotated[
        Path | None, typer.Option(help="A file that ends in .parquet, .csv or .jsonl: a row a sample.")
    ] = None,
    wandb: Annotated[str | None, typer.Option(help="A project of Weights & Biases.")] = None,
    mlflow: Annotated[str | None, typer.Option(help="An experiment of MLflow.")] = None,
) -> None:
    from evalharness.errors import UsageError
    from evalharness.records import export as exports
    from evalharness.records.folder import read_run

    if to is None and wandb is None and mlflow is None:
        raise UsageError("say where to: --to FILE, --wandb PROJECT or --mlflow EXPERIMENT.")
    found = read_run(run)
    if to is not None:
        exports.write_table(found, to)
        typer.echo(f"wrote {to}")
    if wandb is not None:
        exports.to_wandb(found, wandb)
    if mlflow is not None:
        exports.to_mlflow(found, mlflow)
