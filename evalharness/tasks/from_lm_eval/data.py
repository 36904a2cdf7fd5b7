"""The sections of a task file that say which rows: `data` and `demonstrations`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from evalharness.tasks.from_lm_eval.source import Source

_LOADERS = ("json", "csv", "parquet")
"""Values of dataset_path that read files; others name a data set of the hub."""
_HUB = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_REVISION = re.compile(r"[0-9a-f]{40}")


def data(source: Source) -> dict[str, Any]:
    """The task's `data:`."""
    split = source.test_split or source.get("validation_split")
    if not isinstance(split, str) or "[" in split:
        source.refuse("test_split", "neither test_split nor validation_split names a whole split to evaluate")
        split = "test"
    arguments = dict(source.get("dataset_kwargs", {}))
    for key in ("trust_remote_code", "cache_dir"):  # nothing of what is asked depends on them
        arguments.pop(key, None)
    files, revision = arguments.pop("data_files", None), arguments.pop("revision", None)
    for key in arguments:
        source.refuse("dataset_kwargs", f"there is no counterpart of '{key}'")
    path = source.get("dataset_path")
    if path in _LOADERS:
        return {"file": _file(source, files, split), "split": split}
    if not isinstance(path, str) or not _HUB.fullmatch(path):
        source.refuse("dataset_path", f"{path!r:.80} is neither a data set of the hub nor one of {', '.join(_LOADERS)}")
        path = "unknown"
    if files is not None:
        source.refuse("dataset_kwargs", "data_files of a data set of the hub cannot be chosen")
    found = {"hub": path, "config": source.get("dataset_name"), "split": split}
    if isinstance(revision, str) and _REVISION.fullmatch(revision):
        found["revision"] = revision
    return {key: value for key, value in found.items() if value is not None}


def _file(source: Source, files: Any, split: str) -> str:
    """The file of a split: ``data_files`` is one file, or one for each split."""
    named = files.get(split) if isinstance(files, dict) else files
    if isinstance(named, list) and len(named) == 1:
        named = named[0]
    if not isinstance(named, str) or "://" in named or "*" in named:
        source.refuse("dataset_kwargs", f"data_files names no one local file of the split '{split}'")
        return "unknown.jsonl"
    path = Path(named).expanduser()
    return str(path.resolve() if path.exists() else path)


def demonstrations(source: Source, shots: int) -> dict[str, Any]:
    """The task's `demonstrations:`, with lm-eval's pool and sampler."""
    sampler = source.fewshot.get("sampler", "default")
    if sampler not in ("default", "first_n"):
        source.refuse("fewshot_config", f"there is no counterpart of the sampler '{sampler}'")
    found: dict[str, Any] = {"shots": shots, "policy": "first_n" if sampler == "first_n" else "lm_eval"}
    if source.samples:
        return {**found, "rows": [dict(row) for row in source.samples]}
    splits = (source.fewshot_split, *(source.get(f"{name}_split") for name in ("training", "validation", "test")))
    pool = next((split for split in splits if split), None)
    if source.get("dataset_path") in _LOADERS and pool is not None:
        found["file"] = _file(source, source.get("dataset_kwargs", {}).get("data_files"), pool)
    else:
        found["split"] = pool
    if source.fewshot_split == source.test_split and found["policy"] == "lm_eval":
        found["extra_draw"] = True  # also where neither is named
    return found
