"""Which of our tasks is the counterpart of one of lm-eval's, by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evalharness.registry import task_files
from evalharness.tasks.files import read_yaml
from evalharness.tasks.task import DEFAULT, protocol_names

PROTOCOL = "lm-eval"
"""What the protocol that copies lm-eval is called in our task files."""
_RENAMED = {"webqs": "web_questions"}
_SUBSETS = (
    ("mmlu_", "mmlu", PROTOCOL),
    ("bbh_cot_fewshot_", "bbh", PROTOCOL),
    ("bbh_fewshot_", "bbh", "lm-eval-direct"),
)
"""Tasks of lm-eval that are subsets of one of ours: what their names begin with, our task, its protocol."""


@dataclass(frozen=True, slots=True)
class Counterpart:
    """A task of ours that asks what one of lm-eval's asks, if the two agree byte for byte."""

    name: str
    """With its subset: ``mmlu/astronomy``."""
    protocol: str


def counterpart(name: str, include: Iterable[Path] = ()) -> Counterpart | None:
    """Our task of a name of lm-eval's, under the protocol that copies lm-eval where there is one; else None.

    Raises:
        UsageError, DataError: a folder to include is not there, or holds a faulty file.
    """
    files = task_files(include)
    for prefix, task, protocol in _SUBSETS:
        subset = name.removeprefix(prefix)
        if subset != name and task in files and subset in _subsets(files[task]):
            return Counterpart(f"{task}/{subset}", protocol)
    ours = _RENAMED.get(name, name)
    if ours not in files or "suite" in read_yaml(files[ours]):
        return None
    return Counterpart(ours, PROTOCOL if PROTOCOL in protocol_names(files[ours]) else DEFAULT)


def _subsets(path: Path) -> set[str]:
    groups = read_yaml(path).get("data", {}).get("subsets", {})
    return {subset for members in groups.values() for subset in members}
