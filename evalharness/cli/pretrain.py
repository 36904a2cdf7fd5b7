"""`evalharness pretrain CONFIG.yaml`: train a model on a corpus, evaluated as it trains; goes on where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from evalharness.stack.training.options import PretrainOptions

HELP = "Train a model as a YAML says, evaluated as it trains; the same command goes on where it was stopped."

app = typer.Typer(help=HELP)


@app.command(help=HELP)
def pretrain(
    config: Annotated[Path, typer.Argument(help="The YAML of the training (docs/pretraining.md).")],
    dry_run: Annotated[bool, typer.Option(
        "--dry-run", help="Print parameters, memory, time and data, and train nothing.")] = False,
    start: Annotated[int | None, typer.Option(
        "--from", help="The step of the checkpoint to go on from; later ones are deleted.", min=1)] = None,
    changes: Annotated[list[str] | None, typer.Option(
        "--set", help="KEY=VALUE in place of the YAML's, as in --set batch.sequences=8. Repeatable.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="A mirror of data sets, for the evaluation.")] = None,
    include: Annotated[list[Path] | None, typer.Option(help="A folder with task files of your own.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:  # fmt: skip
    import os

    from evalharness.backends.stack_errors import stack_errors
    from evalharness.cli.pretrain_evaluation import evaluator_for
    from evalharness.cli.report import write
    from evalharness.cli.training_command import REPORT, end
    from evalharness.cli.training_view import shown
    from evalharness.report.training import training_report

    options, evaluation = read_options(config, changes or [])
    base = config.resolve().parent
    first = os.environ.get("RANK", "0") == "0"
    quiet = quiet or not first
    evaluator = None
    if evaluation is not None:
        evaluator = evaluator_for(
            evaluation,
            f"{config}: evaluation",
            base,
            base / options.folder,
            options.steps,
            data_dir=data_dir,
            include=tuple(include or ()),
        )
    with stack_errors("stack,training"):
        from evalharness.stack.training.pretrain import pretrain as train

        if dry_run:
            from evalharness.cli.training_estimate import estimate

            for line in estimate(options, base):
                typer.echo(line)
            return
        with shown(options.steps, quiet=quiet) as tell:
            outcome = train(options, base, evaluator=evaluator, start=start, tell=tell)
    if first:
        write(base / options.folder / REPORT, training_report([base / options.folder]))
    end(outcome, base / options.folder, quiet=quiet)


def read_options(config: Path, changes: list[str]) -> tuple[PretrainOptions, Any]:
    """The training's options, and those of its evaluation, which the stack knows nothing of.

    Raises:
        DataError, UsageError: what is wrong with the file or a change.
    """
    from evalharness.cli.training_command import read_training
    from evalharness.stack.training.options import PretrainOptions

    return read_training(PretrainOptions, config, changes)
