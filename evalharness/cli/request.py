"""From the command line, a --config file and --from RUN to one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evalharness.cli.spellings import lm_eval_model
from evalharness.errors import DataError, UsageError, nearest
from evalharness.options import describe
from evalharness.records.folder import read_run
from evalharness.run.options import RunOptions
from evalharness.tasks.files import merged, read_yaml, setting


def request(
    given: Mapping[str, Any],
    settings: Sequence[str],
    config: Path | None,
    from_run: Path | None,
    model_settings: Sequence[str] = (),
    judge_settings: Sequence[str] = (),
) -> RunOptions:
    """The options of a run: a former run's, over them the file's, over them the command line's.

    Raises:
        UsageError: an impossible value or an unknown key; no task is named.
        DataError: the file is malformed.
    """
    values: dict[str, Any] = {}
    if from_run is not None:
        record = read_run(from_run).record
        values = {**record.options, "task": record.options["task"], "model": [record.model_spec]}
        for key in ("output", "allow_unsafe_execution"):  # a folder from elsewhere does not take the isolation away
            values.pop(key, None)
    if config is not None:
        values |= _from_file(config)
    values |= given
    for assignment in settings:
        values["set"] = merged(values.get("set", {}), setting(assignment))
    for assignment in model_settings:
        values["model_options"] = merged(values.get("model_options", {}), setting(assignment, "--model-option"))
    for assignment in judge_settings:
        values["judge_options"] = merged(values.get("judge_options", {}), setting(assignment, "--judge-option"))
    if not values.get("task"):
        raise UsageError("no task is named; add --task gsm8k, say (`evalharness tasks` lists them).")
    for spec in (*values.get("model", ()), *filter(None, [values.get("judge_model")])):
        if sentence := lm_eval_model(spec):
            raise UsageError(sentence)
    try:
        return RunOptions.model_validate(values)
    except ValidationError as error:
        raise UsageError(_sentence(error)) from None


def _from_file(path: Path) -> dict[str, Any]:
    values = read_yaml(path)
    for key in values:
        if key not in RunOptions.model_fields:
            raise DataError(f"{path}: unknown key '{key}'; {nearest(str(key), RunOptions.model_fields)}")
    for key in ("task", "model", "include"):
        if isinstance(values.get(key), str):
            values[key] = [values[key]]
    return values


def _sentence(error: ValidationError) -> str:
    """``--limit -3: input should be greater than or equal to 1``."""
    fault = error.errors()[0]
    if not fault["loc"]:
        return describe(error, RunOptions)
    option = "--" + str(fault["loc"][0]).replace("_", "-")
    message = str(fault["msg"])
    return f"{option} {fault['input']}: {message[0].lower()}{message[1:]}."
