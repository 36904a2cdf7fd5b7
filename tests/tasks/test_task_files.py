"""Reading YAML with places, and merging settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalharness.errors import DataError, UsageError
from evalharness.registry import task_files
from evalharness.tasks.files import find, merged, read_yaml, setting


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nversion: [1\nability: y\n", "bad.yaml:3:"),
        ("name: x\n\tversion: 1\n", "bad.yaml:2:"),
        ("name: x\nversion: 1\nname: y\n", "bad.yaml:3:1: not valid YAML: the key 'name' is given twice."),
        ("prompt:\n  question: x\n  question: y\n", "bad.yaml:3:3: not valid YAML: the key 'question' is given twice."),
        ("- a\n- b\n", "bad.yaml:1: a definition is a mapping of keys to values, not list."),
        ("", "bad.yaml:1: a definition is a mapping of keys to values, not NoneType."),
        ("x: !!python/object/apply:os.system [ls]\n", "bad.yaml:1:4: not valid YAML: "),
        ("? [a, b]\n: 1\n", "bad.yaml:1:3: not valid YAML: "),
        ("? {a: b}\n: 1\n", "bad.yaml:1:3: not valid YAML: "),
    ],
)
def test_malformed(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=re.escape(message)) as refused:
        read_yaml(path)
    assert "\n" not in str(refused.value)


def test_not_utf8_and_not_there(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(b"name: \xff\n")
    with pytest.raises(DataError, match=r"bad\.yaml: not valid YAML"):
        read_yaml(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_yaml(tmp_path)


def test_anchors_and_merge_keys(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text("base: &base {a: 1, b: 2}\nmore:\n  <<: *base\n  b: 3\n")
    assert read_yaml(path) == {"base": {"a": 1, "b": 2}, "more": {"a": 1, "b": 3}}


@pytest.mark.parametrize(
    ("base", "changes", "result"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": {"b": 1}, "c": 2}, {"a": None}, {"c": 2}),
        ({"a": {"b": 1}}, {"a": {"b": None}}, {"a": {}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
        ({"a": 1}, {"b": None}, {"a": 1}),
    ],
)
def test_merged(base: dict[str, Any], changes: dict[str, Any], result: dict[str, Any]) -> None:
    before = repr(base)
    assert merged(base, changes) == result
    assert repr(base) == before


@pytest.mark.parametrize(
    ("assignment", "values"),
    [
        ("decode.temperature=0.7", {"decode": {"temperature": 0.7}}),
        ("decode.stop=['a', b]", {"decode": {"stop": ["a", "b"]}}),
        ("answer=null", {"answer": None}),
        ("prompt.question={{ question }}: yes", {"prompt": {"question": "{{ question }}: yes"}}),
        ("prompt.description=", {"prompt": {"description": ""}}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_setting(assignment: str, values: dict[str, Any]) -> None:
    assert setting(assignment) == values


@pytest.mark.parametrize("assignment", ["decode.temperature", "=1", "a..b=1", ".a=1"])
def test_setting_that_is_none(assignment: str) -> None:
    with pytest.raises(UsageError, match=r"write a key and a value, such as --set decode\.temperature=0\.7"):
        setting(assignment)


def test_shipped_files_mean_the_same_to_every_reader_of_yaml() -> None:
    """``{question: Why?, answer: x}`` is read by libyaml and refused by PyYAML's own scanner."""
    for path in task_files().values():
        text = path.read_text(encoding="utf-8")
        assert yaml.load(text, Loader=yaml.SafeLoader) == yaml.load(text, Loader=yaml.CSafeLoader), path


def test_names_may_be_typed_with_hyphens() -> None:
    assert [name for name, _ in find("survey-table-16")] == ["survey_table_16"]
    assert [name for name, _ in find("arc-*")] == ["arc_challenge", "arc_easy"]
    with pytest.raises(UsageError, match="unknown task 'arc-eas'; did you mean 'arc_easy'"):
        find("arc-eas")
