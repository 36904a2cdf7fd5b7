"""Exactly as many BOS as the tokenizer declares, whichever way a prompt is made."""

from __future__ import annotations

import pytest
from tokenizers_for_tests import BOS, text_tokenizer

from evalharness.errors import DataError
from evalharness.prompting.options import PromptOptions
from evalharness.prompting.prompter import Prompter
from evalharness.prompting.split_rules import RULES, SplitRule
from evalharness.types import Message

BARE = "{% for message in messages %}{{ message.content }}{% endfor %}"
QUESTION = [Message("user", "How many rolls?")]


def _prompter(*, add_bos: bool, template: str | None = None, split_rule: SplitRule = "common_prefix") -> Prompter:
    return Prompter(
        PromptOptions(question="", split_rule=split_rule),
        tokenizer=text_tokenizer(add_bos=add_bos, chat_template=template),
        max_length=None,
        chat=template is not None,
    )


def _bos_of(ids: tuple[int, ...] | None) -> int:
    assert ids is not None
    return ids.count(text_tokenizer().tokenizer.token_to_id(BOS))


@pytest.mark.parametrize("add_bos", [False, True])
def test_plain(add_bos: bool) -> None:
    assert _bos_of(_prompter(add_bos=add_bos).prompt(QUESTION, reserve=0).ids) == add_bos


def test_plain_text_that_begins_with_bos_is_given_no_second() -> None:
    prompt = _prompter(add_bos=True).prompt([Message("user", f"{BOS}How many?")], reserve=0)
    assert _bos_of(prompt.ids) == 1


@pytest.mark.parametrize(
    ("template", "add_bos", "expected"),
    [("{{ bos_token }}" + BARE, True, 1), ("{{ bos_token }}" + BARE, False, 1), (BARE, True, 1), (BARE, False, 0)],
)
def test_chat(template: str, add_bos: bool, expected: int) -> None:
    """A BOS that the template writes is the one that the tokenizer declares."""
    assert _bos_of(_prompter(add_bos=add_bos, template=template).prompt(QUESTION, reserve=0).ids) == expected


def test_template_that_spells_bos_twice_is_refused() -> None:
    prompter = _prompter(add_bos=True, template="{{ bos_token }}{{ bos_token }}" + BARE)
    with pytest.raises(DataError, match="two BOS tokens"):
        prompter.prompt(QUESTION, reserve=0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("add_bos", [False, True])
def test_scored_pair(rule: SplitRule, add_bos: bool) -> None:
    prompter = _prompter(add_bos=add_bos, split_rule=rule)
    prompt = prompter.prompt(QUESTION, reserve=0)
    ids, start, _ = prompter.continuation(prompt, "36 rolls")
    assert _bos_of(ids) == add_bos
    assert prompt.ids is not None
    assert start == len(prompt.ids)


@pytest.mark.parametrize("text", ["The answer", f"{BOS}The answer"])
def test_document_has_one_before_it(text: str) -> None:
    ((window, start),) = _prompter(add_bos=True).windows(text)
    assert (_bos_of(window), start) == (1, 1)
