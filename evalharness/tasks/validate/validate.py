"""Every check on every protocol of task files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from evalharness.data.sources import SourceSettings
from evalharness.errors import EvalHarnessError, UsageError
from evalharness.registry import shipped, task_files
from evalharness.tasks.definition import KnownDefect
from evalharness.tasks.files import find, read_yaml
from evalharness.tasks.task import Task, expand, load_task, protocol_names
from evalharness.tasks.validate.data_checks import check_choices
from evalharness.tasks.validate.definition_checks import check_definition
from evalharness.tasks.validate.findings import Fault, Finding
from evalharness.tasks.validate.judging_checks import check_judging
from evalharness.tasks.validate.loading import fault_of
from evalharness.tasks.validate.places import Places
from evalharness.tasks.validate.prompt_checks import check_prompts
from evalharness.tasks.validate.retrieval_checks import check_recalls
from evalharness.tasks.validate.rows import Rows, rows_of
from evalharness.tasks.validate.scoring_checks import check_scores
from evalharness.types import Reference, Sample, Tokenizer


@dataclass(slots=True)
class Report:
    """What was checked, and what was found."""

    findings: list[Finding] = field(default_factory=list)
    tasks: int = 0
    protocols: int = 0
    rows: int = 0
    """Rows of the benchmarks' own data, counted once a task."""

    def count(self, severity: str) -> int:
        return sum(finding.severity == severity for finding in self.findings)


def files_of(names: Sequence[str], include: Iterable[Path]) -> list[Path]:
    """The YAML files that names, globs, files and folders mean; every known one where nothing is named.

    Raises:
        UsageError: a name fits nothing, or a folder holds no YAML file.
    """
    if not names:
        return list(task_files(include).values())
    found: dict[Path, None] = {}
    for name in names:
        if Path(name).is_dir():
            found_here = (path for path in Path(name).rglob("*.y*ml") if path.suffix in (".yaml", ".yml"))
            paths = sorted(path for path in found_here if not path.name.startswith("_"))
            if not paths:
                raise UsageError(f"{name}: this folder holds no YAML file.")
        else:
            paths = [path for _, path in find(name, include)]
        found |= dict.fromkeys(paths)
    return list(found)


def validate(
    paths: Sequence[Path],
    *,
    settings: SourceSettings,
    tokenizer: Tokenizer | None = None,
    protocol: str | None = None,
    include: Iterable[Path] = (),
) -> Report:
    """Check every protocol (or one) of every file."""
    report = Report()
    for path in paths:
        _check_file(path, report, settings, tokenizer, protocol, tuple(include))
    return report


def _check_file(
    path: Path,
    report: Report,
    settings: SourceSettings,
    tokenizer: Tokenizer | None,
    protocol: str | None,
    include: tuple[Path, ...],
) -> None:
    places = Places(path)
    try:
        values = read_yaml(path)
        if "suite" in values:
            expand([str(path)], include)
            return
        protocols = [protocol] if protocol else protocol_names(path)
    except EvalHarnessError as error:
        report.findings.append(_unloaded(path, error, places, "default"))
        return
    report.tasks += 1
    for number, name in enumerate(protocols):
        report.protocols += 1
        try:
            task = load_task(path, protocol=name, include=include)
        except EvalHarnessError as error:
            report.findings.append(_unloaded(path, error, places, name))
            if name == "default":
                return  # every other protocol is a change of this one
            continue
        faults, rows = _check_task(task, settings, tokenizer)
        report.rows += rows if number == 0 else 0
        report.findings += _placed(path, faults, places, task, report.findings)


def _check_task(task: Task, settings: SourceSettings, tokenizer: Tokenizer | None) -> tuple[list[Fault], int]:
    """The faults of a task under one protocol, and how many real rows it was checked on."""
    faults = [*check_definition(task, shipped=shipped("tasks") in task.path.parents), *check_recalls(task)]
    rows, more = rows_of(task, settings)
    faults += more
    try:
        if rows.every and not any(fault.check == "unknown_column" for fault in faults):
            faults += _check_rows(task, rows, tokenizer)
    except EvalHarnessError as error:
        faults.append(fault_of(error)[0])
    return faults, len(rows.every) if rows.real else 0


def _check_rows(task: Task, rows: Rows, tokenizer: Tokenizer | None) -> list[Fault]:
    """Faults that rendered rows show; a row that cannot be rendered ends the checks of this protocol."""
    needs_all = task.definition.choices is not None
    of_every = _references(task, rows.every if needs_all else rows.spread)
    spread = {sample.id for sample in rows.spread}
    of_spread = [(sample, reference) for sample, reference in of_every if sample.id in spread]
    return [
        *check_choices(task, rows, of_every if needs_all else ()),
        *check_prompts(task, rows, of_spread, tokenizer),
        *check_judging(task, of_spread),
        *check_scores(task, of_spread),
    ]


def _references(task: Task, samples: Sequence[Sample]) -> list[tuple[Sample, Reference]]:
    return [(sample, task.renderer.reference(sample)) for sample in samples]


def _unloaded(path: Path, error: EvalHarnessError, places: Places, protocol: str) -> Finding:
    fault, line = fault_of(error)
    return Finding(
        check=fault.check,
        path=str(path),
        line=line or places.line(fault.field, protocol),
        field=fault.field,
        protocol=protocol,
        sentence=fault.sentence,
    )


def _placed(path: Path, faults: Iterable[Fault], places: Places, task: Task, known: Sequence[Finding]) -> list[Finding]:
    """Findings with their lines; what another protocol has shown at the same place is not told again."""
    told = {(finding.path, finding.line, finding.check, finding.sentence) for finding in known}
    found = []
    for fault in faults:
        finding = Finding(
            check=fault.check,
            path=str(path),
            line=places.line(fault.field, task.protocol),
            field=fault.field,
            protocol=task.protocol,
            sentence=fault.sentence,
            severity=fault.severity,
        )
        if _declared(finding, task.definition.known_defects):
            finding = replace(finding, severity="declared")
        if (finding.path, finding.line, finding.check, finding.sentence) not in told:
            found.append(finding)
    return found


def _declared(finding: Finding, defects: Sequence[KnownDefect]) -> bool:
    return finding.severity == "fault" and any(defect.check == finding.check for defect in defects)
