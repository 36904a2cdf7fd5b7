"""`evalharness export RUN`: a run for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = (
    "Hand a run to other tools: parquet, csv, JSON lines, Weights & Biases, MLflow; lm-eval's results, entries for "
    "the Hugging Face hub."
)

app = typer.Typer(help=HELP)


@app.command(help=HELP)
def export(
    runs: Annotated[list[Path], typer.Argument(
        metavar="RUN", help="A run's folder; --lm-eval and --hf take several.")],
    to: Annotated[
        Path | None, typer.Option(help="A file that ends in .parquet, .csv or .jsonl: a row a sample.")
    ] = None,
    wandb: Annotated[str | None, typer.Option(help="A project of Weights & Biases.")] = None,
    mlflow: Annotated[str | None, typer.Option(help="An experiment of MLflow.")] = None,
    lm_eval: Annotated[Path | None, typer.Option(
        "--lm-eval", help="A folder, or a .json file: results and samples as lm-eval writes them.")] = None,
    hf: Annotated[Path | None, typer.Option(
        "--hf", help="A .yaml file for .eval_results/ of a model on the Hugging Face hub.")] = None,
    metric: Annotated[str | None, typer.Option(help="With --hf: in place of the first metric.")] = None,
    hf_task: Annotated[str | None, typer.Option(
        help="With --hf: the task's id in the benchmark's eval.yaml; the data's configuration, unless given.")] = None,
    source_url: Annotated[str | None, typer.Option(help="With --hf: where the run can be looked at.")] = None,
    source_name: Annotated[str | None, typer.Option(help="With --hf and --source-url: what that is called.")] = None,
) -> None:  # fmt: skip
    from evalharness.errors import UsageError
    from evalharness.records import export as exports
    from evalharness.records.folder import read_run

    if all(place is None for place in (to, wandb, mlflow, lm_eval, hf)):
        raise UsageError("say where to: --to FILE, --wandb PROJECT, --mlflow EXPERIMENT, --lm-eval DIR or --hf FILE.")
    found = [read_run(run) for run in runs]
    if len(found) > 1 and any(place is not None for place in (to, wandb, mlflow)):
        raise UsageError(f"--to, --wandb and --mlflow take one run, and {len(found)} are given.")
    if to is not None:
        exports.write_table(found[0], to)
        typer.echo(f"wrote {to}")
    if wandb is not None:
        exports.to_wandb(found[0], wandb)
    if mlflow is not None:
        exports.to_mlflow(found[0], mlflow)
    if lm_eval is not None:
        from evalharness.records.foreign.lm_eval_results import write_lm_eval

        for path in write_lm_eval(found, lm_eval):
            typer.echo(f"wrote {path}")
    if hf is not None:
        from evalharness.records.foreign.hf_results import EntryOptions, write_eval_results

        options = EntryOptions(metric=metric, task_id=hf_task, source_url=source_url, source_name=source_name)
        write_eval_results(found, hf, options)
        typer.echo(f"wrote {hf}")
