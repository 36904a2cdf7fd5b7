"""Planted faults are found where they are, and every shipped task passes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tokenizers_for_tests import text_tokenizer

from evalharness.data.sources import SourceSettings
from evalharness.errors import UsageError
from evalharness.registry import shipped, task_files
from evalharness.tasks.validate.findings import Finding
from evalharness.tasks.validate.validate import Report, files_of, validate

FAULTY = Path(__file__).parent / "faulty"
OFFLINE = SourceSettings(hub=False)

PLANTED = {
    "unknown_metric": ("unknown_metric", 8, "metrics[0]"),
    "unknown_parser": ("unknown_parser", 6, "answer"),
    "unreadable_gold": ("gold_unread", 6, "answer"),
    "stop_in_answer": ("stop_in_answer", 8, "decode.stop"),
    "demonstrations_from_test": ("demonstrations_from_test", 6, "demonstrations.split"),
    "duplicated_id": ("duplicated_id", 6, "data.id"),
    "unknown_column": ("unknown_column", 6, "prompt.question"),
    "unequal_choices": ("unequal_choices", 6, "choices.texts"),
    "doubled_space": ("doubled_space", 6, "choices.texts"),
    "trailing_space": ("trailing_space", 6, "prompt.question"),
    "gold_position": ("gold_position", 7, "choices.gold"),
    "missing_source": ("missing_source", 5, "data.file"),
    "python_internals": ("python_internals", 6, "prompt.question"),
    "empty_choice": ("empty_choice", 6, "choices.texts"),
    "glued_description": ("glued_description", 6, "prompt.description"),
    "too_few_tokens": ("too_few_tokens", 7, "decode.max_tokens"),
    "no_reasoned_answer": ("no_reasoned_answer", 5, "prompt.reasoned_answer"),
    "few_passages": ("few_passages", 6, "data.retrieve"),
    "recall_beyond": ("recall_beyond", 11, "metrics[2]"),
    "malformed": ("yaml", 3, ""),
    "unfit_for_judging": ("unfit_for_judging", 9, "judging[0].tests"),
    "indentation_taken": ("unfit_for_judging", 9, "judging[0].program"),
    "unlisted_judge": ("unlisted_judge", 7, "metrics[0]"),
    "unknown_judge": ("unknown_judge", 8, "judging[0]"),
    "misspelled_key": ("unknown_key", 4, "prompt.templte"),
}
"""File to the check that finds its fault, the line and the field."""


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALHARNESS_DATA", raising=False)


def _checked(*paths: Path) -> Report:
    return validate(paths, settings=OFFLINE, tokenizer=text_tokenizer())


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_where_it_is(name: str) -> None:
    (finding,) = _checked(FAULTY / f"{name}.yaml").findings
    assert (finding.check, finding.line, finding.field) == PLANTED[name]
    assert (finding.path, finding.severity) == (str(FAULTY / f"{name}.yaml"), "fault")
    assert finding.sentence.endswith((".", "?"))
    assert "Error" not in finding.sentence


def test_every_faulty_file_is_listed() -> None:
    assert {path.stem for path in FAULTY.glob("*.yaml")} == set(PLANTED)


def test_a_faulty_file_hides_no_other() -> None:
    report = _checked(*files_of([str(FAULTY)], ()))
    assert {finding.check for finding in report.findings} == {check for check, _, _ in PLANTED.values()}


@pytest.mark.parametrize("path", task_files().values(), ids=lambda path: path.stem)
def test_a_shipped_task_passes_on_its_examples(path: Path) -> None:
    report = _checked(path)
    assert [str(finding) for finding in report.findings if finding.severity != "declared"] == []


def test_every_shipped_task_passes_on_real_rows(real_mirror: Path) -> None:
    report = validate(list(task_files().values()), settings=SourceSettings(data_dir=real_mirror, hub=False))
    assert [str(finding) for finding in report.findings if finding.severity != "declared"] == []
    declared = {(Path(finding.path).stem, finding.check) for finding in report.findings}
    assert {("truthfulqa_mc1", "gold_position"), ("bbh", "stop_in_answer"), ("nq_open", "stop_in_answer")} <= declared
    assert report.rows > 30_000


# --------------------------------------------------------------------------- what passes, and what is told


def _written(folder: Path, name: str, **changes: Any) -> Finding | None:
    """The one finding of a faulty file with some top-level keys changed; None where it passes."""
    import yaml

    for path in FAULTY.glob("*.jsonl"):
        shutil.copy(path, folder)
    values = yaml.safe_load((FAULTY / f"{name}.yaml").read_text()) | changes
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    found = _checked(folder / f"{name}.yaml").findings
    assert len(found) < 2, found
    return found[0] if found else None


@pytest.mark.parametrize("name", ["stop_in_answer", "gold_position", "demonstrations_from_test"])
def test_a_declared_defect_passes(name: str, tmp_path: Path) -> None:
    defect = {"what": "As published.", "link": "https://example.org", "check": name}
    finding = _written(tmp_path, name, known_defects=[defect])
    assert finding is not None
    assert finding.severity == "declared"
    assert str(finding).startswith("declared: ")
    other = _written(tmp_path, name, known_defects=[defect | {"check": "another"}])
    assert other is not None
    assert other.severity == "fault"


@pytest.mark.parametrize(("count", "found"), [("varies", False), (3, True), (None, True)])
def test_a_rule_for_unequal_choices(count: object, found: bool, tmp_path: Path) -> None:
    choices = {"texts": "{{ texts }}", "gold": "{{ right }}", "count": count}
    assert (_written(tmp_path, "unequal_choices", choices=choices) is not None) == found


def test_a_declared_ceiling_passes(tmp_path: Path) -> None:
    """Most right answers cannot be read, and the file says so."""
    gold = {"answer": {"parser": "regex", "pattern": "[0-9]*0"}, "target": "{{ answer }}"}
    assert _written(tmp_path, "unreadable_gold", **gold) is not None
    assert _written(tmp_path, "unreadable_gold", **gold, ceiling=0.1) is None


def test_a_file_without_provenance_gets_a_note(tmp_path: Path) -> None:
    finding = _written(tmp_path, "glued_description", source=None, prompt={"question": "{{ question }}"})
    assert finding is not None
    assert (finding.check, finding.severity) == ("no_provenance", "note")


def test_a_protocols_fault_has_the_protocols_line(tmp_path: Path) -> None:
    import yaml

    shutil.copy(FAULTY / "sums.jsonl", tmp_path)
    values = {
        "name": "two",
        "source": {"paper": "p", "license": "l", "columns_from": "c"},
        "data": {"file": "sums.jsonl"},
        "prompt": {"question": "{{ question }}"},
        "target": "{{ answer }}",
        "protocols": {"odd": {"prompt": {"question": "{{ nothing }}"}}},
    }
    text = yaml.safe_dump(values, sort_keys=False)
    (tmp_path / "two.yaml").write_text(text)
    (finding,) = _checked(tmp_path / "two.yaml").findings
    assert (finding.check, finding.protocol, finding.field) == ("unknown_column", "odd", "prompt.question")
    assert text.splitlines()[finding.line - 1].strip() == "question: '{{ nothing }}'"


def test_names_files_and_folders(tmp_path: Path) -> None:
    assert [path.stem for path in files_of(["arc_*"], ())] == ["arc_challenge", "arc_easy"]
    assert files_of([str(FAULTY / "malformed.yaml")], ()) == [FAULTY / "malformed.yaml"]
    assert len(files_of([str(FAULTY)], ())) == len(PLANTED)
    assert len(files_of([], ())) == len(task_files())
    assert len(files_of([str(shipped("tasks"))], ())) == len(task_files()), "what begins with _ is no task"
    with pytest.raises(UsageError, match="holds no YAML"):
        files_of([str(tmp_path)], ())
    with pytest.raises(UsageError, match="did you mean 'gsm8k'"):
        files_of(["gsm8"], ())


# --------------------------------------------------------------------------- the command


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from evalharness.cli.main import main

    def said(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(["tasks", "validate", *arguments])
        return int(left.value.code or 0), capsys.readouterr().out

    code, out = said(str(FAULTY / "unknown_column.yaml"))
    assert code == 65
    first, last = out.splitlines()
    assert first.startswith(f"{FAULTY / 'unknown_column.yaml'}:6: prompt.question: the rows have no column 'queston'")
    assert first.endswith("did you mean 'question'? [unknown_column]")
    assert last.startswith("1 protocols of 1 tasks checked, on 24 rows of their data: 1 faults")
    code, out = said("coin_flip", "--json")
    assert (code, json.loads(out)["findings"], json.loads(out)["protocols"]) == (0, [], 3)
