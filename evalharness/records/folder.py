"""A run's folder: reading and writing its three files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from evalharness.errors import DataError, DiskError, ServiceError, UsageError
from evalharness.records.evidence import labels_of, tool_statuses
from evalharness.records.format import FORMAT, RESULTS, RUN, SAMPLES
from evalharness.records.journal import read_samples
from evalharness.records.run import ResultsRecord, RunRecord
from evalharness.records.strict_json import pages

if TYPE_CHECKING:
    import pandas


Record = TypeVar("Record", bound=BaseModel)


@dataclass(frozen=True)
class Run:
    """A finished or unfinished run on disk."""

    path: Path

    @property
    def record(self) -> RunRecord:
        return _read(self.path / RUN, RunRecord)

    @property
    def results(self) -> ResultsRecord | None:
        """None while the run has never been summarised."""
        return _read(self.path / RESULTS, ResultsRecord) if (self.path / RESULTS).is_file() else None

    @property
    def journal(self) -> Path:
        return self.path / SAMPLES

    def lines(self) -> Iterator[dict[str, Any]]:
        """The journal's lines, one for each sample."""
        return read_samples(self.journal)

    def samples(self) -> pandas.DataFrame:
        """One row for each sample: the keys of its line (docs/records.md) but `repeats`, its scores as columns.

        A metric's weights are the column ``<metric>_weight``, where they are not 1. Where judges were asked, the column
        ``outcome`` is the label of a sample's first verdict; where tools were used, ``tool_uses`` says how often.

        Raises:
            ServiceError: pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError:
            raise ServiceError("tables need pandas, which is not installed: pip install 'evalharness[hub]'") from None

        apart = ("repeats", "scores", "weights", "parts")
        rows = [
            {key: value for key, value in line.items() if key not in apart}
            | _counted(line)
            | line["scores"]
            | {f"{name}_weight": weight for name, weight in line.get("weights", {}).items()}
            for line in self.lines()
        ]
        # Of most tasks there is no verdict and no tool.
        unused = [name for name in ("outcome", "tool_uses") if not any(row[name] for row in rows)]
        return pandas.DataFrame(rows).drop(columns=unused, errors="ignore")

    def write(self, record: RunRecord | ResultsRecord) -> None:
        """Write run.json or results.json, whole or not at all.

        Raises:
            DiskError: the disk refuses.
        """
        self._replace(RUN if isinstance(record, RunRecord) else RESULTS, pages(record.model_dump()))

    def write_text(self, name: str, text: str) -> None:
        """Write a file for people beside the records, whole or not at all.

        Raises:
            DiskError: the disk refuses.
        """
        self._replace(name, text.encode())

    def _replace(self, name: str, content: bytes) -> None:
        path = self.path / name
        draft = self.path / f"{name}.part"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        except OSError as error:
            raise DiskError(f"{path}: cannot be written: {error.strerror}.") from None


def _counted(line: Mapping[str, Any]) -> dict[str, Any]:
    return {"outcome": next(iter(labels_of(line)), None), "tool_uses": len(list(tool_statuses(line)))}


def read_run(path: str | Path) -> Run:
    """The run of a folder.

    Raises:
        UsageError: the folder holds no run.
        DataError: its run.json is damaged or of a format that this version does not know.
    """
    folder = Path(path)
    if not (folder / RUN).is_file():
        raise UsageError(f"{folder}: no run here (it has no {RUN}); `evalharness runs` lists the runs.")
    run = Run(folder)
    _ = run.record
    return run


def find_runs(root: Path) -> list[Run]:
    """Every run below a folder, oldest first; what holds none, or a damaged run.json, is passed over."""
    runs = []
    for path in root.rglob(RUN) if root.is_dir() else ():
        run = Run(path.parent)
        with suppress(DataError):  # `read_run` names it to whoever asks for it
            runs.append((run.record.created, str(run.path), run))
    return [run for _, _, run in sorted(runs, key=lambda found: found[:2])]


def _read(path: Path, model: type[Record]) -> Record:
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON: {error}.") from None
    version = values.get("format") if isinstance(values, dict) else None
    if not isinstance(version, int):
        raise DataError(f"{path}: not a record of a run, which is an object with its 'format'.")
    if version > FORMAT:
        raise DataError(f"{path}: format {version} is newer than this evalharness knows ({FORMAT}); upgrade it.")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise DataError(f"{path}: the key '{place}' is missing or wrong: {error.errors()[0]['msg']}.") from None
