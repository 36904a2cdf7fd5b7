"""`evalharness models`: what can be put behind --model."""

from __future__ import annotations

import typer

app = typer.Typer(help="List the models at hand and the kinds that --model understands.", invoke_without_command=True)


@app.callback(invoke_without_command=True)
def models() -> None:
    from evalharness.backends.stack import available

    for entry in available():
        typer.echo(entry)
    typer.echo("PATH             a checkpoint folder (config.json, safetensors) or a GGUF file, run by our own stack")
    typer.echo("replay:FILE      what another system said: JSON lines {task, id, completions | log_likelihoods}")
