"""What `evalharness tasks show` tells of one task."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from evalharness.data.samples import samples
from evalharness.data.sources import MissingDataError, SourceSettings, load_split, mirror_root
from evalharness.errors import UsageError
from evalharness.hashing import sha256_text
from evalharness.prompting.prompter import Prompter
from evalharness.tasks.pool import load_pool
from evalharness.tasks.protocol_hash import SYNTHETIC_SHOTS, protocol_hash, synthetic_samples
from evalharness.tasks.task import DEFAULT, Task, load_task, protocol_names
from evalharness.types import Reference, Sample


def shown(
    name: str,
    *,
    protocol: str = DEFAULT,
    shots: int | None = None,
    method: str | None = None,
    data_dir: Path | None = None,
    include: Iterable[Path] = (),
) -> dict[str, Any]:
    """The definition and the rendered prompt of one row: the data's first where data is at hand, else a written one.

    Raises:
        UsageError: an unknown name.
        DataError: a malformed definition.
    """
    task = load_task(name, protocol=protocol, shots=shots, method=method, include=include)
    rows, demonstrations, where = _rows(task, SourceSettings(data_dir=data_dir))
    renderer, definition = task.renderer, task.definition
    prompter = Prompter(definition.prompt, tokenizer=None, max_length=None)
    turns = [renderer.demonstration(row, reasoned=task.method.reasoned) for row in demonstrations]
    reference = renderer.reference(rows)
    questions = renderer.questions(rows)
    messages = prompter.messages(renderer.description(rows), turns, questions[0])
    text = prompter.plain(messages)
    if task.method.needs == "document":
        text = renderer.document(rows)
    continuations = [prompter.delimited(choice) for choice in reference.choices] if task.method.scores else []
    if renderer.choices_in_question:
        continuations = [prompter.delimited(renderer.after_choice(rows))]
    if task.method.needs == "continuation":
        continuations = [prompter.delimited(str(reference.target))]
    return {
        "name": task.name,
        "path": str(task.path),
        "protocol": protocol,
        "protocols": protocol_names(task.path),
        "hash": protocol_hash(task),
        "definition": definition.model_dump(mode="json", exclude_defaults=True),
        "row": where,
        "prompt": text,
        "prompt_hash": sha256_text(text),
        "questions": questions if renderer.choices_in_question else [],
        "continuations": continuations,
        "gold": _gold(reference, task),
        "target": reference.target,
        "judging": [{"judge": judge.judge, **judge.shown(rows, task.right_answer(reference))} for judge in task.judges],
        "baselines": _baselines(task),
    }


def _gold(reference: Reference, task: Task) -> list[int]:
    """Positions of the right ones among the questions, where they differ by choice, else among the continuations."""
    if task.method.needs == "continuation":
        return [0]
    target = reference.target if isinstance(reference.target, tuple) else (reference.target,)
    return [position for position in target if isinstance(position, int)]


def _rows(task: Task, settings: SourceSettings) -> tuple[Sample, list[Sample], str]:
    """A sample, its demonstrations, and where they are from."""
    definition = task.definition
    data, wanted = definition.data, definition.demonstrations
    subset = task.subsets()[0]
    at_hand = data.generator or data.file or (data.hub and mirror_root(settings))
    try:
        if at_hand:
            return _real(task, subset, settings)
    except MissingDataError:
        if settings.data_dir is not None:
            raise  # the user named the place where a real row should be
    if not definition.examples:
        raise UsageError(f"{task.name}: no data is at hand and the file writes no examples; give --data-dir.")
    written = synthetic_samples(task)
    return written[0], written[1 : 1 + min(wanted.shots, SYNTHETIC_SHOTS)], "an example row of the task file"


def _real(task: Task, subset: str | None, settings: SourceSettings) -> tuple[Sample, list[Sample], str]:
    """The first sample of the data."""
    data, wanted = task.definition.data, task.definition.demonstrations
    base = task.path.parent
    split = load_split(data, data.split, subset=subset, settings=settings, base_dir=base)
    first = next(samples(split, task.columns, subset=subset, id_column=data.id))
    demonstrations = list(load_pool(task, subset, settings).samples[: wanted.shots])
    return first, demonstrations, f"sample {first.id} of {split.source}"


def _baselines(task: Task) -> list[str]:
    """For generated data: what one reaches without reading the question."""
    data = task.definition.data
    if data.generator is None:
        return []
    from evalharness.data.generators.baselines import baselines

    scores = baselines(data.generator, data.split)
    return [f"baseline {name.replace('_', ' ')}: {score:.3f}" for name, score in scores.items()]
