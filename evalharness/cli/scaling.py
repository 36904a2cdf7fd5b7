"""`evalharness scaling fit RUNS...`: scaling laws of trainings, what they recommend, and what they predict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalharness.scaling.reading import ModelSize

HELP = "Fit scaling laws to trainings: how to spend operations, and the loss of a larger run before it is trained."

app = typer.Typer(help=HELP, no_args_is_help=True)


@app.callback()
def _scaling() -> None:
    """Keeps `fit` a command of its own, though it is the only one."""


@app.command(help="Fit Kaplan's and Chinchilla's forms to trainings, with intervals, pictures and predictions.")
def fit(
    runs: Annotated[list[Path], typer.Argument(
        help="Folders of trainings, or tables (.csv, .jsonl) with the columns parameters, tokens, loss.")],
    form: Annotated[list[str] | None, typer.Option(
        help="chinchilla, kaplan, kaplan_N, kaplan_D, kaplan_C; what the runs allow unless given. Repeatable.")] = None,
    hold_out: Annotated[int, typer.Option(
        min=0, help="Runs with the most operations that are left out of the fit and predicted.")] = 0,
    target: Annotated[list[float] | None, typer.Option(
        help="Operations to say the best use of, as in 1e21; ten times the largest unless given. Repeatable.")] = None,
    parameters: Annotated[str, typer.Option(
        help="What N counts: all, or non-embedding (neither embeddings nor the head).")] = "all",
    operations: Annotated[str, typer.Option(
        help="What C is: 6nd (6 N D), or recorded: every product of matrices of the model, attention's too.")] = "6nd",
    loss: Annotated[str, typer.Option(help="validation, or the training's own: training.")] = "validation",
    bootstrap: Annotated[int, typer.Option(min=0, help="Resamples of the runs for intervals; 0 for none.")] = 1_000,
    confidence: Annotated[float, typer.Option(help="Of intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 0,
    output: Annotated[Path | None, typer.Option(help="An HTML page with pictures to write.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:  # fmt: skip
    import json
    import os
    from typing import get_args

    # Matrices are tiny here: threads that wait for one another on a busy machine took thirty times as long.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from evalharness.cli.report import write
    from evalharness.errors import UsageError, nearest
    from evalharness.scaling import reading
    from evalharness.scaling.analysis import FitOptions, analyse
    from evalharness.scaling.as_json import as_json as values_of
    from evalharness.scaling.bootstrap import Resampling
    from evalharness.scaling.known import FORMS
    from evalharness.stats.intervals import check_confidence

    check_confidence(confidence)
    choices: list[tuple[str, str, Any]] = [("--form", name, FORMS) for name in form or ()]
    choices += [
        ("--parameters", parameters, get_args(reading.Counting)),
        ("--operations", operations, get_args(reading.Operations)),
        ("--loss", loss, get_args(reading.Loss)),
    ]
    for told, name, known in choices:
        if name not in known:
            raise UsageError(f"{told} {name}: no such choice; {nearest(name, known)}")
    if wrong := [value for value in target or () if not 0 < value < float("inf")]:
        raise UsageError(f"--target {wrong[0]}: give a number of operations above 0.")
    how = reading.Reading(parameters, operations, loss)  # type: ignore[arg-type]
    points = reading.read_points(runs, _size_of, how)
    options = FitOptions(
        forms=tuple(form or ()),
        hold_out=hold_out,
        targets=tuple(target or ()),
        resampling=Resampling(rounds=bootstrap, confidence=confidence, seed=seed),
    )
    analysis = analyse(points, options)
    if output is not None:
        from evalharness.scaling.page import scaling_page

        write(output, scaling_page(analysis, confidence))
    if as_json:
        asked = {"parameters": parameters, "operations": operations, "loss": loss, "bootstrap": bootstrap}
        asked |= {"confidence": confidence, "seed": seed}
        typer.echo(json.dumps({"options": asked, **values_of(analysis)}, ensure_ascii=False, indent=1))
        return
    for line in _lines(analysis, confidence):
        typer.echo(line)
    if output is not None:
        typer.echo(f"\n{output}: the page with pictures")


def _lines(analysis: Any, confidence: float) -> list[str]:
    from evalharness.scaling.wording import tables
    from evalharness.text_table import columns

    found: list[str] = []
    for table in tables(analysis, confidence):
        found += ["", table.title] if found else [table.title]
        found += [f"  {line}" for line in columns([table.head, *table.rows])] if table.rows else []
        found += [f"  {note}" for note in table.notes]
    return found


def _size_of(model: Mapping[str, Any], context: int) -> ModelSize:
    """Counted on a model that has shapes and no numbers."""
    from evalharness.backends.stack_errors import stack_errors
    from evalharness.scaling.reading import ModelSize

    with stack_errors("stack"):
        import torch

        from evalharness.stack.architectures.encoder_decoder import EncoderDecoder
        from evalharness.stack.training import estimates
        from evalharness.stack.training.models import config_from_json, shaped

        with torch.device("meta"):
            trained = shaped(config_from_json(model, "run.json"))
        parts = estimates.parameters_by_part(trained)
        total = sum(parts.values())
        # What an encoder reads and what the decoder says, which its objective divides, is not told by the model.
        divided = isinstance(trained, EncoderDecoder)
        operations = None if divided else estimates.operations(trained, context).needed
        return ModelSize(total, total - parts["embedding"] - parts["head"], operations)
