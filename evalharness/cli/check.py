"""`evalharness check`: the gate. Is a candidate worse than a baseline by more than the declared margin?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evalharness.errors import UsageError

if TYPE_CHECKING:
    from evalharness.comparison.gate import GateResult
    from evalharness.comparison.gate_options import Gate
    from evalharness.records.scores import Scores

HELP = "Fail when, and only when, a candidate is worse than a baseline by more than the gate's margins."

app = typer.Typer(help=HELP)

_SIDES, _RULES, _COMPUTE, _OUT = "The two sides", "The rules", "Running a model", "Output"


@app.command(help=HELP)
def check(
    baseline: Annotated[list[Path], typer.Option(
        "--baseline", "-b", help="A baseline's file, a run's folder, or a folder of either. Repeatable.",
        rich_help_panel=_SIDES)],
    candidate: Annotated[list[Path] | None, typer.Option(
        "--candidate", "-c", help="A run's folder, or a folder of runs (the newest of each task). Repeatable.",
        rich_help_panel=_SIDES)] = None,
    model: Annotated[str | None, typer.Option(
        "--model", "-m", help="A model to run now, asked as the baseline was.", rich_help_panel=_SIDES)] = None,
    gate: Annotated[str, typer.Option(
        help="A shipped gate's name, or a YAML file (docs/gate.md).", rich_help_panel=_RULES)] = "quick",
    task: Annotated[list[str] | None, typer.Option(
        "--task", "-t", help="Only these tasks of the gate. Repeatable.", rich_help_panel=_RULES)] = None,
    strict: Annotated[bool, typer.Option(
        "--strict", help="Inconclusive is code 2, not 0.", rich_help_panel=_RULES)] = False,
    plan: Annotated[bool, typer.Option(
        "--plan", help="Say which drop the gate can see, and judge nothing.", rich_help_panel=_RULES)] = False,
    trend: Annotated[Path | None, typer.Option(
        help="Append the result to this file of JSON lines.", rich_help_panel=_RULES)] = None,
    sequential: Annotated[bool, typer.Option(
        "--sequential", help="Spend alpha over the checkpoints of --trend, so that looking at every one does not "
        "fail a good one sooner or later.", rich_help_panel=_RULES)] = False,
    data_dir: Annotated[Path | None, typer.Option(
        help="A mirror of data sets (docs/data.md).", rich_help_panel=_COMPUTE)] = None,
    include: Annotated[list[Path] | None, typer.Option(
        help="A folder with task files of your own. Repeatable.", rich_help_panel=_COMPUTE)] = None,
    dtype: Annotated[str | None, typer.Option(
        help="In place of the baseline's.", rich_help_panel=_COMPUTE)] = None,
    numerics: Annotated[str | None, typer.Option(
        help="In place of the baseline's.", rich_help_panel=_COMPUTE)] = None,
    weights: Annotated[str | None, typer.Option(
        help="int8, int4, or stored (as they are in the file), in place of the baseline's.",
        rich_help_panel=_COMPUTE)] = None,
    threads: Annotated[int | None, typer.Option(
        help="In place of the baseline's.", rich_help_panel=_COMPUTE)] = None,
    output: Annotated[Path | None, typer.Option(
        help="Folder for the runs, in place of runs/.", rich_help_panel=_COMPUTE)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=_OUT)] = False,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.", rich_help_panel=_OUT)] = None,
    markdown: Annotated[Path | None, typer.Option(
        help="Write Markdown, for a pull request.", rich_help_panel=_OUT)] = None,
    github: Annotated[bool, typer.Option(
        "--github/--no-github", envvar="GITHUB_ACTIONS", help="Annotations, step summary and outputs.",
        rich_help_panel=_OUT)] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=_OUT)] = False,
) -> None:  # fmt: skip
    from evalharness.comparison.gate import check as judge
    from evalharness.comparison.gate_formats import plan_text

    if (candidate is None) == (model is None) and not plan:
        raise UsageError("name the candidate's run with --candidate, or a model to run now with --model; one of them.")
    if sequential and trend is None:
        raise UsageError("--sequential counts the looks in --trend FILE, which is not given.")
    rules = chosen(gate, task)
    wanted = {gated.task for gated in rules.tasks}
    baselines = by_task(baseline, wanted)
    if plan:
        from evalharness.comparison.plan import plan as planned

        for line in plan_text(planned(rules, baselines, by_task(candidate or [], wanted))):
            typer.echo(line)
        return
    given: dict[str, Any] = {"data_dir": data_dir, "include": tuple(include) if include else None, "dtype": dtype,
                             "numerics": numerics, "threads": threads, "weights": weights}  # fmt: skip
    candidates, skipped = _candidates(rules, baselines, wanted, candidate, model, given, output, quiet=quiet)
    result = judge(rules, baselines, candidates, look=_look(trend, rules) if sequential else None, skipped=skipped)
    if trend is not None:
        keep(trend, result, model or " ".join(str(path) for path in candidate or []))
    tell(result, strict=strict, as_json=as_json, junit=junit, markdown=markdown, github=github, file=gate)
    raise typer.Exit(result.exit_code(strict=strict))


def chosen(gate: str, tasks: list[str] | None) -> Gate:
    """The gate, with only the wanted tasks.

    Raises:
        UsageError: a task is none of the gate's.
    """
    from evalharness.comparison.gate_options import load_gate
    from evalharness.errors import nearest

    rules = load_gate(gate)
    if not tasks or tasks == [rules.suite]:
        return rules
    names = [gated.task for gated in rules.tasks]
    for name in tasks:
        if name not in names:
            raise UsageError(f"--task {name}: the gate {rules.gate} declares no margin for it; {nearest(name, names)}")
    return rules.model_copy(update={"tasks": tuple(gated for gated in rules.tasks if gated.task in tasks)})


def by_task(places: list[Path], wanted: set[str]) -> dict[str, Scores]:
    """Scores by task.

    Raises:
        UsageError: two places have one task.
    """
    from evalharness.comparison.sources import load

    found: dict[str, Scores] = {}
    for place in places:
        for scores in load(place, wanted, newest=True):
            if scores.task in found:
                raise UsageError(f"{found[scores.task].place} and {scores.place} both are {scores.task}; name one.")
            found[scores.task] = scores
    return found


def _candidates(
    rules: Gate,
    baselines: dict[str, Scores],
    wanted: set[str],
    candidate: list[Path] | None,
    model: str | None,
    given: dict[str, Any],
    output: Path | None,
    *,
    quiet: bool,
) -> tuple[dict[str, Scores], dict[str, str]]:
    if model is None:
        return by_task(candidate or [], wanted), {}
    from evalharness.cli.candidate import evaluate

    said = {key: value for key, value in given.items() if value is not None}
    return evaluate(rules, baselines, model, given=said, output=output, quiet=quiet)


def _look(trend: Path | None, rules: Gate) -> int:
    from evalharness.comparison.trend import looks, read

    return looks(read(trend), rules.gate) + 1 if trend else 1


def keep(trend: Path, result: GateResult, checkpoint: str) -> None:
    """Append a result to the trend."""
    from datetime import UTC, datetime

    from evalharness.comparison.trend import append, entry

    append(trend, entry(result, checkpoint=checkpoint, date=datetime.now(UTC).isoformat(timespec="seconds")))


def tell(
    result: GateResult,
    *,
    strict: bool,
    as_json: bool,
    junit: Path | None,
    markdown: Path | None,
    github: bool,
    file: str,
) -> None:
    """Print the result, and write what was asked for."""
    import json

    from evalharness.comparison import gate_formats as formats

    if junit is not None:
        _write(junit, formats.junit(result, strict=strict))
    if markdown is not None:
        _write(markdown, "\n".join(formats.markdown(result)) + "\n")
    if as_json:
        typer.echo(json.dumps(formats.as_json(result, strict=strict), ensure_ascii=False, indent=1))
    else:
        for line in formats.text(result):
            typer.echo(line)
    if github:
        for line in formats.github_annotations(result, strict=strict, file=file):
            typer.echo(line, err=as_json)
        _github(result, strict=strict)


def _github(result: GateResult, *, strict: bool) -> None:
    """The step's summary and outputs, where GitHub says they go."""
    import os

    from evalharness.comparison.gate_formats import markdown

    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write("\n".join(markdown(result)) + "\n")
    if outputs := os.environ.get("GITHUB_OUTPUT"):
        with Path(outputs).open("a", encoding="utf-8") as file:
            file.write(f"verdict={result.verdict}\nexit-code={result.exit_code(strict=strict)}\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
