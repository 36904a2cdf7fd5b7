"""The checkpoints of a training: each whole or not there, the old ones deleted by a policy.

A checkpoint ``step-00000200`` is a model's folder with three files more, in ``training``: ``state.safetensors`` and
``state.json``, what a resumed training needs beside the weights; ``files.json``, sizes and hashes of all the others. An
empty ``.complete``, written last, says that everything is on the disk: a folder without it is none. Where a model is
split over processes, each writes some of the tensors, whole: ``state-00001-of-00002.safetensors``.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from evalharness.stack.corpus.options import Section
from evalharness.stack.durable import PARTIAL, refusal, sha256_of, sync, write_whole
from evalharness.stack.errors import CheckpointError, DiskRefusedError
from evalharness.stack.tokenization.text import read_json, write_json

if TYPE_CHECKING:
    from torch import Tensor

COMPLETE = ".complete"
TENSORS, FACTS, FILES = "training/state.safetensors", "training/state.json", "training/files.json"
FORMAT = 1
MOST_NAMED = 5
"""Differences of two models that a message names."""

_NAME = re.compile(r"step-(\d{8,})")
_LEFTOVER = re.compile(rf"step-\d{{8,}}({re.escape(PARTIAL)})*")


class KeepOptions(Section):
    """Which checkpoints stay; the newest one always does."""

    last: int = Field(default=3, ge=1)
    """So many of the newest."""
    every: int | None = Field(default=None, ge=1)
    """Those of the steps that are multiples of this stay for good."""


@dataclass(frozen=True, slots=True)
class Writing:
    """A checkpoint that is not whole yet."""

    folder: Path
    """Where it is written, beside its place."""
    records: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of files that others have written: what `record_of` says of each, by its place in the folder."""


class CheckpointStore:
    """The checkpoints in a folder, by step. One process writes, any may read."""

    def __init__(self, folder: Path, keep: KeepOptions) -> None:
        self.folder = folder
        self.keep = keep

    def whole(self) -> list[Path]:
        """The checkpoints that are whole, by step."""
        return sorted((path for path in self._folders() if (path / COMPLETE).is_file()), key=step_of)

    def newest(self) -> Path | None:
        """The whole checkpoint of the highest step."""
        return next(reversed(self.whole()), None)

    def at(self, step: int) -> Path:
        """The whole checkpoint of a step.

        Raises:
            CheckpointError: there is none.
        """
        steps = {step_of(path): path for path in self.whole()}
        if step not in steps:
            there = f"there are {', '.join(map(str, steps))}" if steps else "there are none"
            raise CheckpointError(f"{self.folder} has no whole checkpoint of step {step}; {there}.")
        return steps[step]

    def save(
        self, step: int, write_model: Callable[[Path], None], tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
    ) -> Path:
        """Write a checkpoint, then delete those that the policy does not keep.

        Args:
            write_model: writes the model into a folder that is there and empty.
            tensors: on the CPU and contiguous, none sharing memory with another.
            facts: values that JSON knows.

        Returns:
            Its folder, whose bytes are on the disk.

        Raises:
            CheckpointError: the disk refuses, and nothing of the new checkpoint is left; or the step is there already.
        """
        from safetensors.torch import save_file

        with self.writing(step) as writing:
            write_model(writing.folder)
            (writing.folder / FACTS).parent.mkdir()
            save_file(dict(tensors), writing.folder / TENSORS)
            write_json(writing.folder / FACTS, facts)
        return self.folder / f"step-{step:08d}"

    @contextmanager
    def writing(self, step: int) -> Iterator[Writing]:
        """The empty folder that a checkpoint is written into; at the end it is whole, on the disk and in its place, and
        those that the policy does not keep are deleted.

        Raises:
            CheckpointError: as `save`.
        """
        target = self.folder / f"step-{step:08d}"
        self.remove_leftovers()
        if target.exists():
            raise CheckpointError(f"{target} is there already; a training that goes back to an earlier step first "
                                  "deletes the later ones.")  # fmt: skip
        try:
            writing = Writing(target.with_name(target.name + PARTIAL))
            writing.folder.mkdir(parents=True)
            yield writing
            self._finish(target, writing)
        except BaseException as error:
            self.remove_leftovers()
            if refused := refusal(error):
                raise DiskRefusedError(self.not_written(step, *refused)) from error
            raise
        self._thin()

    def read_state(self, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What `save` was given, once every file of the checkpoint has proved to be what was written.

        Raises:
            CheckpointError: it is not whole, or a file of it is missing, truncated or changed.
        """
        from safetensors.torch import load_file

        if not (path / COMPLETE).is_file():
            raise CheckpointError(f"{path} is no whole checkpoint of a training (it has no {COMPLETE}).")
        if damage := _damage(path):
            raise CheckpointError(f"{path} is damaged: {damage}; {self._instead_of(path)}.")
        tensors: dict[str, Tensor] = {}
        for file in sorted((path / TENSORS).parent.glob(f"{Path(TENSORS).stem}*.safetensors")):
            tensors |= load_file(file)
        return tensors, read_json(path / FACTS)

    def drop_after(self, step: int) -> None:
        """Delete the checkpoints of later steps: the training goes on from `step` in another way.

        Raises:
            CheckpointError: the disk refuses.
        """
        for path in reversed(self.whole()):
            if step_of(path) > step:
                _delete(path)

    def remove_leftovers(self) -> None:
        """Delete what a killed writing or deleting left behind; `save` does so by itself.

        Raises:
            CheckpointError: the disk refuses.
        """
        for path in list(self._folders(_LEFTOVER)):
            if not (_NAME.fullmatch(path.name) and (path / COMPLETE).is_file()):
                _delete(path)

    def _folders(self, name: re.Pattern[str] = _NAME) -> Iterator[Path]:
        found = self.folder.iterdir() if self.folder.is_dir() else iter(())
        return (path for path in found if name.fullmatch(path.name) and path.is_dir())

    def _finish(self, target: Path, writing: Writing) -> None:
        partial = writing.folder
        files = {path.relative_to(partial).as_posix(): path for path in sorted(partial.rglob("*")) if path.is_file()}
        records = {name: writing.records.get(name) or record_of(path) for name, path in files.items()}
        write_json(partial / FILES, {"format": FORMAT, "files": records})
        for path in (*partial.rglob("*"), partial):
            sync(path)
        partial.rename(target)
        sync(self.folder)
        write_whole(target / COMPLETE, b"")
        sync(target)

    def _thin(self) -> None:
        for path in self.whole()[: -self.keep.last]:
            if self.keep.every is None or step_of(path) % self.keep.every:
                _delete(path)

    def not_written(self, step: int, reason: str, full: bool) -> str:
        """The sentence about a disk that refuses."""
        newest = self.newest()
        kept = f"the checkpoint before it, {newest.name}, is whole" if newest else "there is none before it"
        mend = "make room on that disk and resume" if full else "mend that and resume"
        return f"{self.folder}: the checkpoint of step {step} cannot be written ({reason}); {mend}: {kept}."

    def _instead_of(self, path: Path) -> str:
        before = [other for other in self.whole() if step_of(other) < step_of(path)]
        if not before:
            return "no checkpoint is before it, so delete this folder and train anew"
        return f"resume from the one before it with --from {step_of(before[-1])}, or by deleting this folder"


def record_of(path: Path) -> dict[str, Any]:
    """Size and hash of a file."""
    return {"size": path.stat().st_size, "sha256": sha256_of(path)}


def tensors_of(rank: int, ranks: int) -> str:
    """The file of one of several processes that each write a part of the training's tensors."""
    return TENSORS.replace(".", f"-{rank + 1:05d}-of-{ranks:05d}.")


def step_of(path: Path) -> int:
    """The step of a checkpoint's folder."""
    return int(path.name.removeprefix("step-"))


def check_model(path: Path, facts: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    """See that a checkpoint is of the model that is trained here.

    Args:
        facts: the checkpoint's; its key ``model`` is the model's configuration.
        model: the configuration here, of values that JSON knows.

    Raises:
        CheckpointError: they differ, with the names of what differs.
    """
    there, here = dict(_flat(facts.get("model", {}))), dict(_flat(model))
    changed = [
        f"{name} is {_shown(there, name)} there and {_shown(here, name)} here"
        for name in {**there, **here}
        if there.get(name) != here.get(name) or (name in there) != (name in here)
    ]
    if changed:
        more = f", and {len(changed) - MOST_NAMED} more" if len(changed) > MOST_NAMED else ""
        raise CheckpointError(f"{path} is of another model: {', '.join(changed[:MOST_NAMED])}{more}; give the "
                              "configuration that it was trained with, or another folder.")  # fmt: skip


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every value of nested objects by its dotted name, as JSON."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, json.dumps(value)


def _shown(values: Mapping[str, str], name: str) -> str:
    text = values.get(name, "not given")
    return text if len(text) <= 60 else f"{text[:57]}..."


def _damage(path: Path) -> str | None:
    """What is wrong with a checkpoint's files."""
    try:
        manifest = json.loads((path / FILES).read_bytes())
        if manifest["format"] != FORMAT:
            return f"{FILES} is of format {manifest['format']}, and this version reads {FORMAT}"
        for name, record in manifest["files"].items():
            size = (path / name).stat().st_size
            if size != record["size"]:
                return f"{name} has {size:,} bytes and should have {record['size']:,}"
            if sha256_of(path / name) != record["sha256"]:
                return f"the bytes of {name} are not those that were written (sha256)"
    except FileNotFoundError as error:
        return f"{Path(error.filename).relative_to(path)} is missing"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"{FILES} is no list of its files"
    return None


def _delete(path: Path) -> None:
    """Delete a checkpoint so that it is never half there and looks whole."""
    try:
        if (path / COMPLETE).is_file():
            (path / COMPLETE).unlink()
            sync(path)
        shutil.rmtree(path)
    except OSError as error:
        raise DiskRefusedError(f"{path} cannot be deleted ({error.strerror}); delete it by hand.") from error
