"""`evalharness convert`: a GGUF file or checkpoint folder to a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = "Write a model as a Hugging Face folder with a right tokenizer.json."

app = typer.Typer(help=HELP)


@app.command(help=HELP)
def convert(
    source: Annotated[str, typer.Argument(help="smollm2, a GGUF file, or a checkpoint folder.")],
    target: Annotated[Path, typer.Argument(help="The folder to write; it must be new or empty.")],
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    adapter: Annotated[str | None, typer.Option(help="A folder with a LoRA adapter to merge.")] = None,
) -> None:
    from evalharness.backends.stack import convert

    convert(source, target, dtype=dtype, adapter=adapter)
    typer.echo(f"wrote {target}")
