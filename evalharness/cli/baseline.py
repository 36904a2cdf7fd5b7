"""`evalharness baseline`: keep a run's scores as a small file to commit, and see who replaced which and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Keep the scores of runs as files to commit, for `check` and `compare`.", no_args_is_help=True)

FOLDER = Path("leaderboards/baselines")


@app.command("save", help="Keep runs as baselines: ids, hashes and scores, never a word of a data set.")
def save(
    runs: Annotated[list[Path], typer.Argument(help="Runs' folders, or folders of runs (the newest of each task).")],
    to: Annotated[Path, typer.Option(help="A folder, in which each task has a file; or a .json file.")] = FOLDER,
    why: Annotated[str, typer.Option(help="Why this is the baseline now; kept in its history.")] = "",
    by: Annotated[str | None, typer.Option(help="Who says so; the name in git's configuration, or the user's.")] = None,
) -> None:
    from datetime import UTC, datetime

    from evalharness.comparison.sources import load
    from evalharness.errors import UsageError
    from evalharness.records.baseline import save_baseline

    found = [scores for place in runs for scores in load(place, newest=True)]
    if to.suffix == ".json" and len(found) > 1:
        raise UsageError(f"--to {to}: one file for {len(found)} runs; name a folder.")
    for scores in found:
        if scores.missing or not scores.samples:
            raise UsageError(
                f"{scores.place}: {len(scores.samples)} of {scores.asked} samples are there; finish the run first."
            )
    who, now = by or user_name(), datetime.now(UTC).isoformat(timespec="seconds")
    for scores in found:
        path = to if to.suffix == ".json" else to / f"{scores.task.replace('/', '_')}.json"
        record = save_baseline(scores, path, by=who, why=why, date=now)
        kept = f"{len(record.ids)} samples, {path.stat().st_size:,} bytes"
        replaced = f", replaces {record.history[-2].run}" if len(record.history) > 1 else ""
        typer.echo(f"wrote {path}: {scores.task}, {scores.model_name}, {kept}{replaced}")


@app.command("show", help="What a baseline holds, and its history: who replaced what, when and why.")
def show(baseline: Annotated[Path, typer.Argument(help="A baseline's file, or a folder of them.")]) -> None:
    from evalharness.errors import UsageError
    from evalharness.records.baseline import read_baseline
    from evalharness.text_table import columns

    paths = sorted(baseline.glob("*.json")) if baseline.is_dir() else [baseline]
    if not paths:
        raise UsageError(f"{baseline}: no baseline is there; `evalharness baseline save RUN` writes one.")
    for path in paths:
        record = read_baseline(path)
        typer.secho(f"{record.task} · {record.protocol} · {record.model.get('name')}", bold=True)
        typer.echo(f"  {path}: {len(record.ids)} of {record.of or 'an unknown number of'} samples")
        typer.echo(f"  protocol {record.hashes.get('protocol', '')[:12]}, metrics {', '.join(record.metrics)}")
        rows = [("  date", "by", "model", "score", "why")]
        for entry in record.history:
            name, value = next(iter(entry.scores.items()))
            shown = "-" if value is None else f"{name} {value:.4g}"
            rows.append((f"  {entry.date}", entry.by, entry.model, shown, entry.why))
        for line in columns(rows):
            typer.echo(line)


def user_name() -> str:
    """Who is at work: the name in git's configuration, else the user's."""
    import getpass
    import subprocess

    try:
        named = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, timeout=5, check=True)
        if name := named.stdout.strip():
            return name
    except (OSError, subprocess.SubprocessError):
        pass
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
