"""`evalharness serve`: any model behind OpenAI's protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = "Serve a model over OpenAI's protocol: /v1/chat/completions, /v1/completions, log-likelihoods by echo."

app = typer.Typer(help=HELP)

_MODEL, _COMPUTE = "The model", "Computing"


@app.command(help=HELP)
def serve(
    model: Annotated[str, typer.Option(
        "--model", "-m", help="smollm2 (the embedded one), a checkpoint folder or GGUF file, or BACKEND:WHAT.",
        rich_help_panel=_MODEL)] = "smollm2",
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 is every network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any that is free.")] = 8000,
    served_name: Annotated[str | None, typer.Option(
        help="What clients call the model; its last word unless given.")] = None,
    max_queue: Annotated[int, typer.Option(
        min=1, help="Requests that may wait for the model; more are answered 429.")] = 1024,
    api_key_env: Annotated[str | None, typer.Option(
        metavar="NAME", help="Environment variable with the key that clients must send.")] = None,
    grace: Annotated[int, typer.Option(
        min=0, help="Seconds that running requests have left when the server is stopped.")] = 30,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.", rich_help_panel=_MODEL)] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ...", rich_help_panel=_MODEL)] = None,
    weights: Annotated[str | None, typer.Option(
        help="int8 or int4: weights made small as they are read, for models of the stack (docs/models.md).",
        rich_help_panel=_MODEL)] = None,
    tokenizer: Annotated[str | None, typer.Option(
        help="A tokenizer other than the model's own.", rich_help_panel=_MODEL)] = None,
    revision: Annotated[str | None, typer.Option(help="Of a model on the hub.", rich_help_panel=_MODEL)] = None,
    adapter: Annotated[str | None, typer.Option(
        help="A PEFT adapter: a folder (hf:, vllm:; of models of the stack LoRA).", rich_help_panel=_MODEL)] = None,
    max_length: Annotated[int | None, typer.Option(
        help="Longest sequence of tokens, below the model's own limit.", rich_help_panel=_MODEL)] = None,
    batch_tokens: Annotated[int | None, typer.Option(
        help="Tokens that are computed together.", rich_help_panel=_COMPUTE)] = None,
    threads: Annotated[int | None, typer.Option(help="Processor threads.", rich_help_panel=_COMPUTE)] = None,
    numerics: Annotated[str | None, typer.Option(
        help="exact (the same bits whatever is computed together; the default for scores on a CPU) or fast.",
        rich_help_panel=_COMPUTE)] = None,
    kv_memory: Annotated[float | None, typer.Option(
        help="GiB that keys and values may take (a quarter of what is free).", rich_help_panel=_COMPUTE)] = None,
) -> None:  # fmt: skip
    given = {
        "dtype": dtype,
        "device": device,
        "weights": weights,
        "tokenizer": tokenizer,
        "revision": revision,
        "adapter": adapter,
        "max_length": max_length,
        "batch_tokens": batch_tokens,
        "threads": threads,
        "numerics": numerics,
        "kv_memory": kv_memory,
    }
    from contextlib import closing

    from evalharness.cli.request import request
    from evalharness.run.models import load_backend
    from evalharness.run.runner import warm
    from evalharness.serving.server import Server, Settings

    key = None if api_key_env is None else _key(api_key_env)
    told = {name: value for name, value in given.items() if value is not None}
    options = request({"task": ("none",), "model": (model,), **told}, (), None, None)
    name = served_name or _name(model)
    with closing(load_backend(model, options)) as backend:
        settings = Settings(name=name, host=host, port=port, most_queued=max_queue, key=key, grace=grace)
        server = Server(backend, settings)
        warm(backend)
        if key is None and not server.is_local:
            typer.echo(
                f"evalharness: warning: whoever reaches {host} can use this server; --api-key-env NAME asks for a key.",
                err=True,
            )
        line = f"serving {backend.info.name} as {name} at {server.address} (Ctrl-C stops)"
        server.run(ready=lambda: typer.echo(line))


def _key(variable: str) -> str:
    import os

    from evalharness.errors import UsageError

    key = os.environ.get(variable)
    if not key:
        raise UsageError(f"--api-key-env {variable}: this environment variable is not set, or empty.")
    return key


def _name(spec: str) -> str:
    """``smollm2``, the last part of a path, or what stands behind a backend's colon."""
    path = Path(spec).expanduser()
    if path.exists():
        return path.resolve().name
    return spec.partition(":")[2] or spec
