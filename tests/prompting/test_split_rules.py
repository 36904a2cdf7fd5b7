"""How a continuation is cut from its context, as properties of every pair of texts."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers_for_tests import text_tokenizer, trained

from evalharness.prompting.options import PromptOptions
from evalharness.prompting.prompter import Prompter
from evalharness.prompting.split_rules import RULES, SplitRule, common_prefix, lm_eval, separate
from evalharness.types import Message

texts = st.text("abehinorstw AQ.?:=3\n“ë", min_size=1, max_size=40)


def _encode(words: bool, text: str) -> list[int]:
    return list(trained(words=words).encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize("words", [True, False])
@settings(max_examples=100, deadline=None)
@given(context=texts, continuation=texts)
def test_common_prefix_keeps_the_text_and_scores_what_differs(words: bool, context: str, continuation: str) -> None:
    def encode(text: str) -> list[int]:
        return _encode(words, text)

    ids, start = common_prefix(encode, context, encode(context), continuation)
    assert trained(words=words).decode(ids) == context + continuation
    assert ids[:start] == encode(context)[:start]
    assert 0 <= start < len(ids)


@pytest.mark.parametrize("words", [True, False])
@settings(max_examples=150, deadline=None)
@given(context=texts, continuation=texts)
def test_common_prefix_is_lm_evals_rule_where_no_token_straddles(words: bool, context: str, continuation: str) -> None:
    def encode(text: str) -> list[int]:
        return _encode(words, text)

    context_ids = encode(context)
    whole = encode(context + continuation)
    assume(context == context.rstrip())
    assume(whole[: len(context_ids)] == context_ids)
    assume(len(whole) > len(context_ids))
    expected = whole, len(context_ids)
    assert common_prefix(encode, context, context_ids, continuation) == expected
    assert lm_eval(encode, context, context_ids, continuation) == expected


@settings(max_examples=100, deadline=None)
@given(context=texts, continuation=texts)
def test_separate_joins_the_two(context: str, continuation: str) -> None:
    def encode(text: str) -> list[int]:
        return _encode(True, text)

    ids, start = separate(encode, context, encode(context), continuation)
    assert (ids[:start], ids[start:]) == (encode(context), encode(continuation))


@pytest.mark.parametrize("add_bos", [False, True])
@pytest.mark.parametrize("words", [True, False])
@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=60, deadline=None)
@given(context=st.just("") | texts, continuation=texts)
def test_some_token_is_scored_and_some_token_stands_before_it(
    rule: SplitRule, words: bool, add_bos: bool, context: str, continuation: str
) -> None:
    """Even where context and continuation are one token, or the context is nothing but spaces."""
    prompter = Prompter(
        PromptOptions(question="", split_rule=rule, delimiter=""),
        tokenizer=text_tokenizer(add_bos=add_bos, words=words),
        max_length=None,
    )
    prompt = prompter.prompt([Message("user", context)], reserve=0)
    ids, start, cut = prompter.continuation(prompt, continuation)
    assert ids is not None
    assert 1 <= start <= len(ids) - 1
    assert cut == 0


def test_a_token_that_straddles_the_border_is_scored() -> None:
    """ "a" and "b" are one token "ab": it is scored after BOS, and never lost."""

    def encode(text: str) -> list[int]:
        return {"a": [1], "ab": [2], "xa": [9, 1], "xab": [9, 2]}[text]

    assert common_prefix(encode, "a", [1], "b") == ([2], 0)
    assert common_prefix(encode, "xa", [9, 1], "b") == ([9, 2], 1)
    assert lm_eval(encode, "xa", [9, 1], "b") == ([9, 2], 1)
