"""What BFCL v4 asks, and what we ask for the same rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from parity.bfcl_oracle import Oracle, shared_oracle
from parity.bfcl_rows import CHECKED, UNCHECKED, rows_of, task_of

from evalharness.data.sources import SourceSettings, load_split
from evalharness.prompting.functions import openai_tool
from evalharness.prompting.prompter import Prompter

pytest.importorskip("tree_sitter_java", reason="needs pip install 'evalharness[code]'")

CATEGORIES = CHECKED | UNCHECKED
CONVERSATIONS = 9
"""Rows of live_irrelevance with several turns, which BFCL sends as such; here they are one turn."""


@pytest.fixture(scope="module")
def bfcl() -> Oracle:
    return shared_oracle()


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_row_is_there(category: str) -> None:
    assert len(rows_of(category)) == CATEGORIES[category]
    assert task_of(category).definition.data.rows == {"test": CATEGORIES[category]}


@pytest.mark.parametrize("category", CATEGORIES)
def test_prompts_are_the_same_to_the_byte(category: str, bfcl: Oracle) -> None:
    task = task_of(category)
    prompter = Prompter(task.definition.prompt, tokenizer=None, max_length=None, chat=True)
    differ = []
    for row in rows_of(category):
        description, question = task.renderer.description(row.sample), task.renderer.question(row.sample)
        ours = [(message.role, message.content) for message in prompter.messages(description, [], question)]
        if ours != [(message["role"], message["content"]) for message in bfcl.messages(row.row)]:
            differ.append(row)
    assert all(sum(turn["role"] != "system" for turn in row.row["question"][0]) > 1 for row in differ)
    assert len(differ) == (CONVERSATIONS if category == "live_irrelevance" else 0)


@pytest.mark.parametrize("category", CATEGORIES)
def test_native_functions_are_the_same(category: str, bfcl: Oracle) -> None:
    task = task_of(category, "native")
    for row in rows_of(category):
        theirs = bfcl.tools(row.row)
        for tool in theirs:  # OpenAI's protocol knows a name, a description and parameters
            tool["function"] = {key: tool["function"][key] for key in ("name", "description", "parameters")}
        assert [openai_tool(tool) for tool in task.renderer.tools(row.sample)] == theirs


@pytest.mark.parametrize("category", [name for name in CATEGORIES if "live" not in name])
def test_the_mirror_has_the_same_rows(category: str, real_mirror: Path) -> None:
    data = task_of(category).definition.data
    mirrored = load_split(data, "test", settings=SourceSettings(data_dir=real_mirror, hub=False))
    assert mirrored.source.kind == "mirror"
    assert [dict(row) for row in mirrored.rows] == [row.row for row in rows_of(category)]
