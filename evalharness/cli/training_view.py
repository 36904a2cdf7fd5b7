"""What a training says while it goes on: a bar on a terminal, lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Tell = Callable[[Mapping[str, Any]], None]


@contextmanager
def shown(steps: int, *, quiet: bool) -> Iterator[Tell]:
    """A function to tell the lines of the log to."""
    if quiet:
        yield lambda event: None
    elif sys.stderr.isatty():
        with _bar(steps) as tell:
            yield tell
    else:
        yield lambda event: print(line(event, steps), file=sys.stderr, flush=True)


@contextmanager
def _bar(steps: int) -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("training", total=steps, told="")

        def tell(event: Mapping[str, Any]) -> None:
            if "loss" in event:
                told = f"loss {event['loss']:.4f}, {event['tokens_per_second']:,.0f} tokens/s{_peak(event)}"
                progress.update(task, completed=event["step"], told=told)
            else:
                progress.update(task, completed=event["step"])
                progress.console.print(line(event, steps), highlight=False)

        yield tell


def line(event: Mapping[str, Any], steps: int) -> str:
    """A line of the log for people."""
    at = f"step {event['step']:,}/{steps:,}"
    if "loss" in event:
        return (
            f"{at}: loss {event['loss']:.4f}{_pairs(event)}, gradient norm {event['gradient_norm']:.2f}, "
            f"{event['tokens']:,} tokens, {event['tokens_per_second']:,.0f} a second{_peak(event)}"
        )
    if "validation_loss" in event:
        return f"{at}: validation loss {event['validation_loss']:.4f}{_pairs(event, 'validation_')}"
    match event["event"]:
        case "evaluation":
            return f"{at}: {_scores(event)}{'; ' + event['stop'] if event.get('stop') else ''}"
        case "spike":
            return f"step {event['step']:,}: a spike since step {event['since']:,}: {event['reason']}"
        case "rewind":
            return (
                f"went back from step {event['from']:,} to {event['step']:,}; "
                f"{event['left_out_sequences']:,} sequences are left out"
            )
        case "resumed":
            return f"{at}: goes on from {event['checkpoint']}"
        case _:
            return f"{at}: {event.get('text', event['event'])}"


def _pairs(event: Mapping[str, Any], prefix: str = "") -> str:
    """What is told of pairs of answers, where they are what is learned."""
    if f"{prefix}accuracy" not in event:
        return ""
    return f", accuracy {event[f'{prefix}accuracy']:.0%}, margin {event[f'{prefix}margin']:+.3f}"


def _peak(event: Mapping[str, Any]) -> str:
    return f" ({event['peak_share']:.0%} of peak)" if event.get("peak_share") else ""


def _scores(event: Mapping[str, Any]) -> str:
    """``coin_flip accuracy 0.950 [0.930, 0.970]; ...``: of each task of an evaluation the first metric."""
    told = []
    for task, found in event.get("tasks", {}).items():
        if "error" in found:
            told.append(f"{task}: {found['error']}")
        for metric, score in list(found.get("metrics", {}).items())[:1]:
            bounds = f" [{score['low']:.3f}, {score['high']:.3f}]" if score.get("low") is not None else ""
            value = "none" if score["value"] is None else f"{score['value']:.3f}"
            told.append(f"{task} {metric} {value}{bounds}")
    return "; ".join(told) or "evaluated"
