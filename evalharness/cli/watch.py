"""`evalharness watch DIR`: every checkpoint that a trainer finishes is checked against a baseline, once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

HELP = "Check every finished checkpoint of a folder against a baseline, once, and append to the trend."

app = typer.Typer(help=HELP)


@app.command(help=HELP)
def watch(
    folder: Annotated[Path, typer.Argument(help="Where a trainer writes checkpoints (Hugging Face folders).")],
    baseline: Annotated[list[Path], typer.Option(
        "--baseline", "-b", help="A baseline's file, a run's folder, or a folder of either. Repeatable.")],
    gate: Annotated[str, typer.Option(help="A shipped gate's name, or a YAML file.")] = "quick",
    task: Annotated[list[str] | None, typer.Option(
        "--task", "-t", help="Only these tasks of the gate, or its suite. Repeatable.")] = None,
    trend: Annotated[Path | None, typer.Option(help="JSON lines; DIR/trend.jsonl unless named.")] = None,
    sequential: Annotated[bool, typer.Option(
        "--sequential", help="Spend alpha over the checkpoints, and stop at the first regression.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Check what is finished now, and leave.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two looks at the folder.")] = 30.0,
    settle: Annotated[float, typer.Option(help="Seconds for which a checkpoint must not have changed.")] = 10.0,
    strict: Annotated[bool, typer.Option("--strict", help="Inconclusive is code 2, not 0.")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="A mirror of data sets (docs/data.md).")] = None,
    include: Annotated[list[Path] | None, typer.Option(help="A folder with task files of your own.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the runs; DIR/evalharness unless named.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:  # fmt: skip
    import time

    from evalharness.cli.check import by_task, chosen, keep
    from evalharness.comparison import trend as trends
    from evalharness.comparison.checkpoints import name_of, waiting
    from evalharness.errors import UsageError

    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; name the one that a trainer writes checkpoints into.")
    rules = chosen(gate, task)
    baselines = by_task(baseline, {gated.task for gated in rules.tasks})
    trend, output = trend or folder / "trend.jsonl", output or folder / "evalharness"
    given = {key: value for key, value in (("data_dir", data_dir), ("include", tuple(include or ()))) if value}
    worst = 0
    while True:
        done = {str(line["checkpoint"]) for line in trends.read(trend)}
        for checkpoint in waiting(folder, done, settle):
            name = name_of(checkpoint, folder)
            look = trends.looks(trends.read(trend), rules.gate) + 1 if sequential else None
            result = _checked(rules, baselines, checkpoint, look, given, output / name, quiet=quiet)
            keep(trend, result, name)
            worst = worst or result.exit_code(strict=strict)
            if sequential and result.verdict == "worse":
                raise typer.Exit(1)
        if once:
            raise typer.Exit(worst)
        time.sleep(every)


def _checked(
    rules: Any, baselines: Any, checkpoint: Path, look: int | None, given: dict[str, Any], output: Path, *, quiet: bool
) -> Any:
    """Run and judge one checkpoint; one that cannot be run is broken in every task, and the watch goes on."""
    from evalharness.cli.candidate import evaluate
    from evalharness.comparison.gate import GateResult, TaskVerdict, check
    from evalharness.comparison.gate_formats import text
    from evalharness.errors import DataError, ServiceError

    typer.secho(f"checkpoint {checkpoint}", bold=True)
    try:
        candidates, skipped = evaluate(rules, baselines, str(checkpoint), given=given, output=output, quiet=quiet)
        result = check(rules, baselines, candidates, look=look, skipped=skipped)
    except (DataError, ServiceError) as error:
        verdicts = tuple(
            TaskVerdict(task=gated.task, verdict="broken", reason=str(error).rstrip(".")) for gated in rules.tasks
        )
        result = GateResult(gate=rules.gate, verdicts=verdicts, look=look, alpha=rules.alpha)
    for line in text(result):
        typer.echo(line)
    return result
