"""`evalharness tasks`: what can be measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evalharness.errors import DataError

if TYPE_CHECKING:
    from evalharness.tasks.definition import SuiteDefinition

app = typer.Typer(
    help="List the tasks; show one; print the schema of task files.", invoke_without_command=True, no_args_is_help=False
)

Include = Annotated[list[Path], typer.Option("--include", help="A folder with task files of your own (repeatable).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(invoke_without_command=True)
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_tasks([], False)


@app.command("list", help="One line for each task and suite.")
def list_tasks(include: Include = [], as_json: AsJson = False) -> None:  # noqa: B006 (typer's way)
    from evalharness.registry import task_files
    from evalharness.tasks.files import read_yaml

    rows = []
    for name, path in sorted(task_files(include).items()):
        values = read_yaml(path)
        rows.append(
            {
                "name": name,
                "ability": values.get("ability", "suite"),
                "protocols": ["default", *values.get("protocols", {})],
                "description": values.get("description", ""),
            }
        )
    if as_json:
        import json

        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    rows.sort(key=lambda row: (row["ability"] == "suite", row["ability"], row["name"]))
    width = max(len(row["name"]) for row in rows)
    ability = ""
    for row in rows:
        if row["ability"] != ability:
            ability = row["ability"]
            typer.secho(f"{'suites' if ability == 'suite' else ability}", bold=True)
        typer.echo(f"  {row['name']:<{width}}  {row['description']}")


@app.command("show", help="A task's definition, protocols and rendered prompt; or which rows of a suite run here.")
def show(
    name: Annotated[str, typer.Argument(help="A task's or suite's name, or a YAML file.")],
    protocol: Annotated[str, typer.Option(help="The protocol to show.")] = "default",
    shots: Annotated[int | None, typer.Option(help="Demonstrations before the question.")] = None,
    method: Annotated[str | None, typer.Option(help="How the sample is elicited.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="A mirror of data sets: show a real row.")] = None,
    include: Include = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    from evalharness.tasks.show import shown
    from evalharness.tasks.task import suites_in

    subset = "/" in name and not name.endswith((".yaml", ".yml"))
    if suites := [] if subset else suites_in([name], include):
        _print_suite(suites[0], data_dir, include, as_json=as_json)
        return
    facts = shown(name, protocol=protocol, shots=shots, method=method, data_dir=data_dir, include=include)
    if as_json:
        import json

        typer.echo(json.dumps(facts, ensure_ascii=False, indent=1))
        return
    _print(facts)


def _print_suite(suite: SuiteDefinition, data_dir: Path | None, include: list[Path], *, as_json: bool) -> None:
    import json
    from collections import Counter
    from dataclasses import asdict

    from evalharness.cli.suite_view import availability_lines
    from evalharness.data.settings import SourceSettings
    from evalharness.tasks.availability import availability

    rows = availability(suite, SourceSettings(data_dir=data_dir), include)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=1))
        return
    typer.secho(suite.suite, bold=True)
    typer.echo(suite.description)
    for line in availability_lines(rows):
        typer.echo(line)
    counts = Counter(row.state for row in rows)
    typer.echo(", ".join(f"{count} {state}" for state, count in counts.items()))


def _print(facts: dict[str, Any]) -> None:
    import yaml

    typer.secho(f"{facts['name']} · protocol {facts['protocol']}", bold=True)
    typer.echo(f"{facts['path']}\nprotocols: {', '.join(facts['protocols'])}")
    typer.echo(f"protocol hash: {facts['hash']}\n")
    definition = {key: value for key, value in facts["definition"].items() if key not in ("examples", "protocols")}
    typer.echo(yaml.safe_dump(definition, allow_unicode=True, sort_keys=False, width=110).rstrip())
    typer.secho(f"\nprompt of {facts['row']} (sha256 {facts['prompt_hash'][:16]})", bold=True)
    typer.echo(facts["prompt"])
    for title in ("questions", "continuations"):
        if facts[title]:
            typer.secho(title, bold=True)
            marked = facts["gold"] if title == "questions" or not facts["questions"] else ()
            for number, text in enumerate(facts[title]):
                typer.echo(f"{'*' if number in marked else ' '} {text!r}")
    if not facts["continuations"] and facts["target"] is not None:
        typer.secho("right answer", bold=True)
        typer.echo(repr(facts["target"]))
    for judged in facts["judging"]:
        typer.secho(f"judged by {judged['judge']}, if the right answer were given", bold=True)
        for field, shown in judged.items():
            if field != "judge" and shown not in (None, ""):
                typer.echo(f"{field}:\n{shown}" if isinstance(shown, str) else f"{field}: {shown}")
    for line in facts["baselines"]:
        typer.echo(line)


@app.command("schema", help="The JSON schema of task files, for editors: evalharness tasks schema > task.schema.json")
def schema() -> None:
    import json

    from evalharness.tasks.schema import task_schema

    typer.echo(json.dumps(task_schema(), ensure_ascii=False, indent=1))


@app.command("validate", help="Find what is wrong with task files, with real rows where they are at hand.")
def validate(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names, globs, YAML files, folders; all unless given.")
    ] = None,
    protocol: Annotated[str | None, typer.Option(help="One protocol; every one unless given.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="A mirror of data sets (docs/data.md).")] = None,
    hub: Annotated[bool, typer.Option("--hub", help="Ask the hub for data that are not on this machine.")] = False,
    include: Include = [],  # noqa: B006
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Run the components.py of --include folders.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    from dataclasses import asdict

    from evalharness.backends.stack import available
    from evalharness.data.sources import SourceSettings
    from evalharness.registry import lookup, trust
    from evalharness.tasks.validate.validate import files_of
    from evalharness.tasks.validate.validate import validate as check

    for folder in include if trust_code else ():
        trust(folder)
    model = lookup("backend", "stack")(available()[0].name) if available() else None
    report = check(
        files_of(names or [], include),
        settings=SourceSettings(data_dir=data_dir, hub=hub),
        tokenizer=model.tokenizer if model else None,
        protocol=protocol,
        include=include,
    )
    if as_json:
        import json

        typer.echo(json.dumps(asdict(report), ensure_ascii=False, indent=1))
    else:
        for finding in report.findings:
            typer.echo(str(finding))
        typer.echo(
            f"{report.protocols} protocols of {report.tasks} tasks checked, on {report.rows:,} rows of their data: "
            f"{report.count('fault')} faults, {report.count('declared')} declared defects, {report.count('note')} notes"
        )
    if report.count("fault"):
        raise typer.Exit(DataError.exit_code)
