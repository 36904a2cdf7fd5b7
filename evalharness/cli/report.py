"""`evalharness report RUN...`: runs, or trainings, as one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = "Write runs into one HTML file: scores, calibration, errors, cost, samples, differences; or trainings: curves."

app = typer.Typer(help=HELP)


@app.command(help=HELP)
def report(
    runs: Annotated[list[Path] | None, typer.Argument(
        help="Runs' folders, or their names in runs/, the newest run; or folders of trainings.")] = None,
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path("report.html"),
    full: Annotated[bool, typer.Option("--full", help="Embed every sample whole, not the first 2,000.")] = False,
    metric: Annotated[str | None, typer.Option(
        help="By which samples are right and wrong; each task's first one.")] = None,
) -> None:  # fmt: skip
    from evalharness.cli.inspect import chosen_run as found_run
    from evalharness.errors import UsageError
    from evalharness.report.page import report as report_of
    from evalharness.report.training import training_report
    from evalharness.report.training_log import is_training

    if output.is_dir():
        raise UsageError(f"--output {output}: a folder is there; name the file to write, {output / 'report.html'}.")
    trainings = [folder for folder in runs or () if is_training(folder)]
    if trainings:
        if others := [folder for folder in runs or () if folder not in trainings]:
            raise UsageError(f"{trainings[0]} is a training and {others[0]} is none; report them in two files.")
        if full or metric is not None:
            raise UsageError("--full and --metric are for runs; leave them out for a training.")
        content = training_report(trainings)
    else:
        found = [found_run(run) for run in runs] if runs else [found_run(None)]
        content = report_of(found, metric=metric, full=full)
    write(output, content)
    typer.echo(f"{output}: {_size(len(content))}")


def write(path: Path, content: bytes) -> None:
    """The whole file, or none.

    Raises:
        DiskError: the disk refuses.
    """
    import os
    from contextlib import suppress

    from evalharness.errors import DiskError

    draft = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        os.replace(draft, path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise DiskError(f"{path}: cannot be written: {error.strerror or error}.") from None


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
