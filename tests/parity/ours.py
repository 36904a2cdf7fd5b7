"""Our side of a comparison: plan, methods and prompter as a run uses them, with a model that only listens."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from parity.lm_eval_oracle import Asked, Rows, scored

from evalharness.elicitation.base import Ask
from evalharness.prompting.prompter import Prompter
from evalharness.run.options import RunOptions
from evalharness.run.plan import Cell, plan
from evalharness.run.sandboxes import Idle
from evalharness.types import (
    Completion,
    Completions,
    GenerateRequest,
    Likelihood,
    Request,
    Result,
    Sample,
    ScoreRequest,
    Tokenizer,
)


class Listener:
    """Answers anything and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def ask(self, request: Request) -> Result:
        self.requests.append(request)
        if isinstance(request, ScoreRequest):
            return Likelihood((-1.0,), (True,))
        return Completions((Completion(text="so it is"),) * request.n)


def write_split(
    root: Path, place: str, rows: Rows, *, indices: Sequence[int] | None = None, of: int | None = None
) -> None:
    """One split of a mirror; ``place`` is ``org/name/config/split``. `rows` are those at `indices` of `of` rows."""
    path = root / f"{place}.jsonl.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    part = {"indices": list(range(len(rows)) if indices is None else indices), "source_rows": of or len(rows)}
    (root / f"{place}.indices.json").write_text(json.dumps(part))


def read_split(root: Path, place: str) -> list[dict[str, Any]]:
    """The rows of one split of a mirror."""
    with gzip.open(root / f"{place}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


TRIVIA = "trivia_qa_3000"
"""Of the folder ``extra/``: TriviaQA's own questions with its own aliases, half of a sample of 3,000."""


def link_trivia(mirror: Path, folder: Path, split: str) -> None:
    """Puts the questions of `TRIVIA`, which lie beside a mirror, into the folder of a data set."""
    folder.mkdir(parents=True)
    for suffix in (".jsonl.gz", ".indices.json"):
        (folder / f"{split}{suffix}").symlink_to(mirror.parent / "extra" / f"{TRIVIA}{suffix}")


def cell(task: str, mirror: Path, **options: Any) -> Cell:
    """The one cell of a run of `task` on the mirror."""
    (only,) = plan(RunOptions(task=(task,), data_dir=mirror, **options))
    return only


def requests(cell: Cell, sample: Sample, tokenizer: Tokenizer | None = None) -> list[Request]:
    """What the task's method asks about one sample, in order."""
    task, listener = cell.task, Listener()
    ask = Ask(
        task=cell.name,
        sample=sample,
        reference=task.renderer.reference(sample),
        demonstrations=cell.demonstrations(sample),
        renderer=task.renderer,
        prompter=Prompter(task.definition.prompt, tokenizer=tokenizer, max_length=None),
        waves=listener,
        sampling=task.sampling,
        sandbox=Idle(),
        corpus=cell.corpus,
    )
    asyncio.run(task.method.run(ask, task.method_options))  # type: ignore[arg-type]
    return listener.requests


def asked(cell: Cell) -> dict[int, Asked]:
    """What is asked about every sample of a cell, by the sample's original position."""
    return {sample.index: asked_of(cell, sample) for sample in cell.samples}


def asked_of(cell: Cell, sample: Sample) -> Asked:
    """What is asked about one sample by a method that asks once."""
    made = requests(cell, sample)
    first = made[0]
    if isinstance(first, GenerateRequest):
        assert len(made) == 1
        return Asked(first.prompt.text, generation=_generation(first))
    return scored(
        [(request.context.text, request.continuation) for request in made if isinstance(request, ScoreRequest)]
    )


def _generation(request: GenerateRequest) -> Mapping[str, Any]:
    """A request's sampling in lm-eval's words."""
    sampling = request.sampling
    return {
        "max_gen_toks": sampling.max_tokens,
        "until": list(sampling.stop),
        "do_sample": sampling.temperature > 0,
        "temperature": sampling.temperature,
        **({"top_p": sampling.top_p} if sampling.top_p < 1 else {}),
    }
