"""`evalharness inspect`: the samples of a run, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evalharness.errors import UsageError

if TYPE_CHECKING:
    from evalharness.records.folder import Run

HELP = "Look at the samples of a run: what was asked, what was said, what was read from it."

app = typer.Typer(help=HELP)


@app.command(help=HELP)
def inspect(
    run: Annotated[Path | None, typer.Argument(help="A run's folder, or its name in runs/; the newest run.")] = None,
    wrong: Annotated[bool, typer.Option("--wrong", help="Scored below 1.")] = False,
    right: Annotated[bool, typer.Option("--right", help="Scored 1.")] = False,
    unparsed: Annotated[bool, typer.Option("--unparsed", help="No answer was found.")] = False,
    truncated: Annotated[bool, typer.Option("--truncated", help="Ended by its length.")] = False,
    errored: Annotated[bool, typer.Option("--errored", help="Failed.")] = False,
    empty: Annotated[bool, typer.Option("--empty", help="Nothing was said.")] = False,
    cut: Annotated[bool, typer.Option("--cut", help="The prompt was cut to the model's context.")] = False,
    undecided: Annotated[bool, typer.Option(
        "--undecided", help="A metric came to no end within its time or memory.")] = False,
    outcome: Annotated[list[str] | None, typer.Option(
        help="Of this verdict, as pass, fail, error, timeout; may be given more than once.")] = None,
    subset: Annotated[str | None, typer.Option(help="Of this subset.")] = None,
    id: Annotated[str | None, typer.Option("--id", help="The sample of this id.")] = None,
    metric: Annotated[str | None, typer.Option(help="Right and wrong by this metric; the first one.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Samples to show.")] = 10,
    offset: Annotated[int, typer.Option(min=0, help="Samples to pass over first.")] = 0,
    full: Annotated[bool, typer.Option("--full", help="Prompts whole, not only their end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Every fitting line of the journal as JSON.")] = False,
) -> None:  # fmt: skip
    from itertools import islice

    from evalharness.records.select import Filter, selected

    found = chosen_run(run)
    if wrong and right:
        raise UsageError("--wrong and --right exclude each other; without either both are shown.")
    if wrong or right or metric:
        _check_metric(found, metric)
    wanted = {
        "unparsed": unparsed,
        "truncated": truncated,
        "errored": errored,
        "empty": empty,
        "cut": cut,
        "undecided": undecided,
    }
    flags = frozenset(flag for flag, given in wanted.items() if given)
    labels = frozenset(outcome or ())
    samples = selected(
        found.journal,
        Filter(
            right=right if wrong or right else None, metric=metric, flags=flags, labels=labels, subset=subset, id=id
        ),
    )
    if as_json:
        for line in samples:
            typer.echo(_as_json(line), nl=False)
        return
    _show(found, islice(samples, offset, None), limit, offset, full)


def _as_json(line: Mapping[str, Any]) -> str:
    """The journal's own line; a terminal, which would obey what it holds unescaped, is shown ASCII then."""
    import json
    import sys

    from evalharness.pages.controls import visible
    from evalharness.records.strict_json import one_line, spelled

    text = one_line(line).decode()
    return json.dumps(spelled(line)) + "\n" if sys.stdout.isatty() and visible(text) != text else text


def chosen_run(named: Path | None) -> Run:
    from evalharness.records.folder import find_runs, read_run
    from evalharness.records.format import RUN

    if named is not None:
        inside = Path("runs") / named
        return read_run(inside if not (named / RUN).is_file() and (inside / RUN).is_file() else named)
    runs = find_runs(Path("runs"))
    if not runs:
        raise UsageError("no runs in runs; `evalharness run --task NAME` makes one, or name a run's folder.")
    return runs[-1]


def _check_metric(run: Run, metric: str | None) -> None:
    """Right and wrong belong to metrics that are at most 1 and higher for better."""
    from evalharness.errors import nearest

    results = run.results
    if results is None:
        return
    name = metric or next(iter(results.scores))
    if name not in results.scores:
        raise UsageError(f"--metric {name}: the run has no such metric; {nearest(name, results.scores)}")
    score = results.scores[name]
    if not score.higher_is_better or (score.value or 0) > 1:
        raise UsageError(f"{name} knows no right and wrong; inspect without --wrong and --right, or name a --metric.")


def _show(run: Run, samples: Any, limit: int, offset: int, full: bool) -> None:
    from itertools import islice

    from rich.console import Console

    from evalharness.cli.printing import shown
    from evalharness.cli.sample_view import view
    from evalharness.records.run import protocol_of

    console = Console(highlight=False, soft_wrap=True)
    marks = not console.is_terminal or bool(console.no_color)
    record, results = run.record, run.results
    score = ""
    if results:
        label, first = next(iter(results.scores.items()))
        score = f" · {label} {shown(first)}, n {first.n}"
    console.print(f"{record.task} · {protocol_of(record)} · {record.model['name']}{score}", style="bold", markup=False)
    console.print(f"{run.path} ({record.state})\n", markup=False)
    page = list(islice(samples, limit))
    for line in page:
        console.print(view(line, full=full, marks=marks))
    if not page:
        console.print("no further sample fits." if offset else "no sample fits.")
    elif next(samples, None) is not None:
        console.print(f"more: --offset {offset + len(page)}")
