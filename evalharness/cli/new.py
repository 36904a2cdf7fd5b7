"""`evalharness new task`: a task file that validates, from flags or from a few questions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from evalharness.errors import DataError, UsageError

app = typer.Typer(help="Begin something of your own: a task file.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """`task` stays a subcommand, though it is the only one."""


@app.command("task", help="Write a task file from flags, or from answers to a few questions on a terminal.")
def task(
    name: Annotated[str, typer.Argument(help="Small letters, digits, underscores; also the file's name.")],
    kind: Annotated[str | None, typer.Option(help="choice, generate, continuation or document.")] = None,
    file: Annotated[Path | None, typer.Option(help="The rows: jsonl, csv (plain or .gz) or parquet.")] = None,
    hub: Annotated[str | None, typer.Option(help="Id of a data set on the hub, in place of --file.")] = None,
    config: Annotated[str | None, typer.Option(help="The hub's configuration.")] = None,
    split: Annotated[str, typer.Option(help="The split that is evaluated.")] = "test",
    question: Annotated[str | None, typer.Option(help="Column or template of the question.")] = None,
    answer: Annotated[str | None, typer.Option(help="Column or template of the right answer.")] = None,
    choices: Annotated[str | None, typer.Option(help="Column with the list, or columns with commas between.")] = None,
    gold: Annotated[str | None, typer.Option(help="Column or expression of the right choice.")] = None,
    text: Annotated[str | None, typer.Option(help="Column or template of the document.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path(),
) -> None:
    from evalharness.tasks.scaffold import FIELDS, KINDS, Plan, check_columns, check_name, text_of

    path = check_name(name, out)
    kind = _asked("kind", kind, _listed(KINDS), "generate")
    if kind not in KINDS:
        raise UsageError(f"--kind {kind}: choose one of {', '.join(KINDS)}.")
    if hub is None:
        file = Path(_asked("file", str(file) if file else None, "path of the rows (jsonl, csv or parquet)", None))
    row = _first_row(file) if file else None
    if row is not None and sys.stdin.isatty():
        typer.echo(f"columns: {', '.join(row)}", err=True)
    given = {"question": question, "answer": answer, "choices": choices, "gold": gold, "text": text}
    fields = {field: _asked(field, given[field], _HELP[field], _proposed(field, row)) for field in FIELDS[kind]}
    plan = Plan(
        name=name, kind=kind, file=_beside(file, out), hub=hub, config=config, split=split, fields=fields, row=row
    )
    check_columns(plan)
    _write(path, text_of(plan))
    _validated(path)


_HELP = {
    "question": "column or template of the question",
    "answer": "column or template of the right answer",
    "choices": "column with the list of choices, or columns with commas between",
    "gold": "column of the right choice (its position, letter or text)",
    "text": "column or template of the document",
}
_USUAL = {
    "question": ("question", "prompt", "input", "context", "text"),
    "answer": ("answer", "target", "output", "label", "continuation"),
    "choices": ("choices", "options", "endings"),
    "gold": ("gold", "label", "answer", "answerKey", "target"),
    "text": ("text", "page", "document", "content"),
}


def _asked(flag: str, given: str | None, what: str, proposed: str | None) -> str:
    """What the flag says, else what is typed; with neither a flag nor a terminal, a sentence that names the flag."""
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise UsageError(f"--{flag} is missing, and there is no terminal to ask on: {what}.")
    return str(typer.prompt(f"{flag} ({what})", default=proposed, err=True))


def _listed(kinds: dict[Any, str]) -> str:
    return "; ".join(f"{kind}: {what}" for kind, what in kinds.items())


def _proposed(field: str, row: dict[str, Any] | None) -> str | None:
    return next((column for column in _USUAL[field] if row and column in row), None)


def _first_row(file: Path) -> dict[str, Any]:
    from evalharness.data.files import read_rows

    if not file.is_file():
        raise UsageError(f"--file {file}: no such file.")
    rows = read_rows(file)
    if not rows:
        raise DataError(f"{file}: no rows; a data file needs at least one.")
    return rows[0]


def _beside(file: Path | None, out: Path) -> str | None:
    """The path as a task file in `out` must say it."""
    if file is None:
        return None
    inside = file.resolve().is_relative_to(out.resolve())
    return str(file.resolve().relative_to(out.resolve()) if inside else file.resolve())


def _write(path: Path, text: str) -> None:
    import json

    from evalharness.tasks.scaffold import SCHEMA
    from evalharness.tasks.schema import task_schema

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    schema = path.with_name(SCHEMA)
    schema.write_text(json.dumps(task_schema(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    typer.echo(f"wrote {path}, and {schema} for editors")


def _validated(path: Path) -> None:
    from evalharness.data.sources import SourceSettings
    from evalharness.tasks.validate.validate import validate

    report = validate([path], settings=SourceSettings(hub=False))
    for finding in report.findings:
        typer.echo(str(finding))
    if report.count("fault"):
        typer.echo(f"mend these in {path}, then type: evalharness tasks validate {path}")
        raise typer.Exit(DataError.exit_code)
    typer.echo(f"checked on {report.rows} rows: no fault")
    typer.echo(f"next: evalharness tasks show {path}\n      evalharness run --task {path} --limit 20")
