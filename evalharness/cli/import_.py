"""`evalharness import`: results and tasks of other harnesses."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evalharness.records.folder import Run
    from evalharness.records.run import ResultsRecord

app = typer.Typer(help="Take over results and task files of lm-eval, and logs of Inspect.", no_args_is_help=True)

TO = Path("runs")


@app.command("lm-eval", help="Runs of what lm-eval wrote with --output_path and --log_samples, one a task.")
def lm_eval(
    results: Annotated[Path, typer.Argument(help="The folder of --output_path, or a results file in it.")],
    to: Annotated[Path, typer.Option(help="Where the runs' folders are made.")] = TO,
    task: Annotated[list[str] | None, typer.Option(help="Only this task of lm-eval; give it once for each.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="A mirror of data sets: prompts are compared where the rows are at hand.")
    ] = None,
    include: Annotated[list[Path] | None, typer.Option(help="A folder with task files of your own.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    from evalharness.run.from_lm_eval import import_lm_eval

    imported = import_lm_eval(results, to, tasks=tuple(task or ()), data_dir=data_dir, include=tuple(include or ()))
    for note in imported.notes:
        typer.echo(f"evalharness: {note}.", err=True)
    _show(imported.runs, as_json=as_json)


@app.command("inspect", help="The run of a log that Inspect wrote as JSON.")
def inspect(
    log: Annotated[Path, typer.Argument(help="The log's file; of the form .eval, what `inspect log convert` makes.")],
    to: Annotated[Path, typer.Option(help="Where the run's folder is made.")] = TO,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    from evalharness.records.foreign.inspect_ai import read_log
    from evalharness.records.foreign.run import folder_name, keep

    found = read_log(log)
    results = found.results()
    run = keep(found.record, found.lines(), results, to / folder_name(found.record))
    _show([(run, results)], as_json=as_json)


@app.command("task", help="One of lm-eval's task files as one of ours; what cannot be carried is named.")
def task(
    file: Annotated[Path, typer.Argument(help="lm-eval's YAML file; what it includes is read too.")],
    to: Annotated[
        Path | None, typer.Option(help="The file to write, named like the task; printed, unless given.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="A mirror of data sets: a row shows what lm-eval's fields mean.")
    ] = None,
) -> None:
    from evalharness.data.sources import SourceSettings
    from evalharness.errors import UsageError
    from evalharness.tasks.from_lm_eval.convert import NotCarriedError, convert
    from evalharness.tasks.from_lm_eval.written import text_of, write

    if to is not None and to.suffix not in (".yaml", ".yml"):
        raise UsageError(f"--to {to}: a task file ends in .yaml.")
    try:
        converted = convert(file, name=to.stem if to else None, settings=SourceSettings(data_dir=data_dir))
    except NotCarriedError as error:
        for reason in error.reasons:
            typer.echo(f"evalharness: {reason}", err=True)
        raise typer.Exit(error.exit_code) from None
    if to is not None:
        write(converted, to)
    for note in converted.notes:
        typer.echo(f"evalharness: {note}", err=True)
    if to is None:
        typer.echo(text_of(converted), nl=False)
    else:
        typer.echo(f"wrote {to}\nnext: evalharness tasks show {to}\n      evalharness tasks validate {to}")


def _show(runs: Iterable[tuple[Run, ResultsRecord]], *, as_json: bool) -> None:
    import json

    from evalharness.cli import printing

    if as_json:
        told = [printing.as_json(run, results) for run, results in runs]
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    for run, results in runs:
        for line in printing.block(run, results):
            typer.echo(line)
