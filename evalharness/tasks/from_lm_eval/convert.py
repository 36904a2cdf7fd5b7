"""`import task`: one of lm-eval's task files as one of ours, or a sentence for each thing that cannot be carried."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalharness.data.options import DataOptions
from evalharness.data.sources import SourceSettings, load_split
from evalharness.errors import DataError, EvalHarnessError
from evalharness.options import parse_options
from evalharness.tasks.definition import TaskDefinition
from evalharness.tasks.from_lm_eval import scoring, sections
from evalharness.tasks.from_lm_eval.data import data, demonstrations
from evalharness.tasks.from_lm_eval.source import Row, Source
from evalharness.tasks.from_lm_eval.yaml_files import functions, read_lm_eval_yaml
from evalharness.tasks.task import DEFAULT, Task
from evalharness.types import Sample

_METHODS = {
    "multiple_choice": "choice_likelihood",
    "loglikelihood": "continuation_likelihood",
    "loglikelihood_rolling": "rolling_likelihood",
    "generate_until": "direct",
}
_REFUSED = {
    "process_docs": "the rows are changed by code before anything is asked",
    "process_results": "the answers are scored by code",
    "custom_dataset": "the rows are made by code",
    "class": "the task is a class of Python",
    "use_prompt": "the prompt stands in another package (promptsource)",
    "doc_to_image": "pictures cannot be asked about",
    "doc_to_audio": "sounds cannot be asked about",
    "unsafe_code": "the model's code would be executed",
}
_CARRIED = frozenset(
    {
        *("task", "output_type", "dataset_path", "dataset_name", "dataset_kwargs"),
        *("training_split", "validation_split", "test_split", "fewshot_split", "fewshot_config", "num_fewshot"),
        *("doc_to_text", "doc_to_target", "doc_to_choice", "description", "gen_prefix"),
        *("target_delimiter", "fewshot_delimiter"),
        *("metric_list", "filter_list", "generation_kwargs", "repeats"),
    }
)
_WITHOUT_EFFECT = frozenset(
    {"task_alias", "tag", "group", "metadata", "should_decontaminate", "doc_to_decontamination_query"}
)
"""On what is asked and how it is scored."""


class NotCarriedError(DataError):
    """A task that cannot become one of ours; `reasons` has a sentence for each thing that stands against it."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(" ".join(reasons))
        self.reasons = tuple(reasons)


@dataclass(frozen=True, slots=True)
class Converted:
    """A task of lm-eval as a definition of ours."""

    name: str
    definition: Mapping[str, Any]
    """The task file's keys and values, in the order in which they are written."""
    notes: tuple[str, ...]
    """What was taken to be so, a sentence each."""


def convert(path: Path, *, name: str | None = None, settings: SourceSettings | None = None) -> Converted:
    """Convert a task file.

    lm-eval decides by the first row whether a field is a column, a number or a list, and so does this where a row is at
    hand; elsewhere it says what it takes to be so.

    Args:
        name: the task's name here; lm-eval's own, unless given.
        settings: where the rows are looked for.

    Raises:
        NotCarriedError: something in it cannot be carried; every such thing is named.
        DataError: it is no YAML, or an include is not there.
    """
    values = read_lm_eval_yaml(path)
    if refused := _refused(values):
        raise NotCarriedError([f"{path}: {reason}" for reason in refused])
    source = Source(values)
    found = data(source)
    if not source.reasons:
        source = Source(values, _first_row(found, path, settings or SourceSettings()))
    name = name or re.sub(r"[^a-z0-9_]+", "_", str(values["task"]).lower())
    definition = _definition(source, name, found)
    if not source.reasons:
        _try(source, definition, name)
    if source.reasons:
        raise NotCarriedError([f"{path}: {reason}" for reason in dict.fromkeys(source.reasons)])
    return Converted(name, definition, tuple(dict.fromkeys(source.notes)))


def _refused(values: Mapping[str, Any]) -> list[str]:
    """What stands against a task whatever its other fields say."""
    if isinstance(values.get("task"), list):
        return ["task: it is a group of tasks; import the files of its tasks one by one."]
    if not isinstance(values.get("task"), str):
        return ["task: the task's name is missing; a file that others include is imported through them."]
    coded = functions({key: value for key, value in values.items() if key not in _WITHOUT_EFFECT})
    reasons = [f"{key}: !function {code}: {_REFUSED.get(key, 'it is code')}." for key, code in coded.items()]
    reasons += [f"{key}: {why}." for key, why in _REFUSED.items() if values.get(key) and key not in coded]
    known = _CARRIED | _WITHOUT_EFFECT | _REFUSED.keys()
    if "class" not in values:  # which takes keys of its own
        reasons += [f"{key}: lm-eval has no such key." for key in values if key not in known]
    output_type = values.get("output_type", "generate_until")
    if output_type not in _METHODS:
        reasons.append(f"output_type: '{output_type}' is none of {', '.join(_METHODS)}.")
    return reasons


def _first_row(found: Mapping[str, Any], path: Path, settings: SourceSettings) -> Row | None:
    """A row of the evaluated split; None where no source has it."""
    options = parse_options(DataOptions, found, f"{path}: data")
    try:
        return load_split(options, options.split, settings=settings, base_dir=path.parent).rows[0]
    except EvalHarnessError:
        return None


def _definition(source: Source, name: str, data_section: Mapping[str, Any]) -> dict[str, Any]:
    output_type = source.get("output_type", "generate_until")
    shots = source.get("num_fewshot", 0)
    if not isinstance(shots, int) or shots < 0:
        source.refuse("num_fewshot", f"a number of demonstrations is expected, not {shots!r:.40}")
        shots = 0
    version = source.get("metadata", {}).get("version") if isinstance(source.get("metadata", {}), dict) else None
    told = f" (version {version})" if version is not None else ""
    found: dict[str, Any] = {
        "name": name,
        "description": f"lm-eval's task {source.values['task']}{told}, converted.",
        "data": data_section,
    }
    if output_type != "loglikelihood_rolling":
        found["demonstrations"] = demonstrations(source, shots)
    found["prompt"] = sections.prompt(source, output_type, shots)
    found |= sections.right(source, output_type)
    found["elicitation"] = {"method": _METHODS[output_type]}
    if output_type == "generate_until":
        found["decode"] = scoring.decode(source)
        _vote(source, found)
    found["metrics"] = scoring.metrics(source, output_type)
    return found


def _vote(source: Source, found: dict[str, Any]) -> None:
    """Several texts of one sample are drawn for filters that look at them together; the others see the first alone."""
    count = scoring.votes(source)
    if count == 1:
        if source.get("repeats", 1) != 1:
            source.notes.append("repeats: only the first text of a sample is scored there, so one is asked for here.")
        return
    if not isinstance(found["target"], str):
        source.refuse("repeats", "votes are counted where several texts are right")
        return
    decode = found["decode"]
    found["elicitation"] = {
        "method": "self_consistency",
        "samples": count,
        "temperature": decode.get("temperature", 1.0),
        "top_k": decode.get("top_k", 0),
    }
    found["prompt"]["reasoned_answer"] = found["prompt"].pop("answer", found["target"])


def _try(source: Source, definition: Mapping[str, Any], name: str) -> None:
    """Build the task, and render the row with it."""
    try:
        task = Task(parse_options(TaskDefinition, definition, name), DEFAULT, Path(f"{name}.yaml"))
        task.check()
        if source.row is None:
            return
        sample = Sample(id="0", index=0, row=source.row, content_hash="")
        task.renderer.description(sample)
        task.renderer.questions(sample)
        task.renderer.reference(sample)
        if missing := sorted(task.columns - source.row.keys()):
            source.refuse("doc_to_text", f"the rows have no column '{missing[0]}'")
    except EvalHarnessError as error:
        source.reasons.append(f"the task that came of it fails: {error}")
