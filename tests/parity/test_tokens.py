"""The ids that our `lm-eval` protocols score are those that lm-eval's Hugging Face model scores."""

from __future__ import annotations

from functools import cache
from typing import Any
from unittest import mock

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers_for_tests import BOS, text_tokenizer, transformers_tokenizer

from evalharness.prompting.options import PromptOptions
from evalharness.prompting.prompter import Prompter
from evalharness.prompting.windows import sliding_windows
from evalharness.types import Message

Scored = tuple[list[int], int]
"""The ids as one sequence, and the position of the first scored one."""

texts = st.text("abehinorstw AQ.?:=3\n“ë", max_size=40)
with_bos = st.booleans().map(lambda begins: BOS if begins else "")


@cache
def _model(add_bos: bool, words: bool) -> Any:
    """lm-eval's model as far as its tokenisation goes, with no weights."""
    from lm_eval.models.huggingface import HFLM

    model = HFLM.__new__(HFLM)
    model.backend = "causal"
    model.tokenizer = transformers_tokenizer(add_bos=add_bos, words=words)
    model.add_bos_token = None
    model.enable_thinking = False
    model.custom_prefix_token_id = None
    return model


def _theirs(context: str, continuation: str, *, add_bos: bool, words: bool) -> tuple[list[int], list[int]]:
    """Context and continuation ids, as lm-eval hands them to its forward pass."""
    model, request = _model(add_bos, words), mock.Mock(args=(context, continuation))
    with mock.patch.object(model, "_loglikelihood_tokens") as forward:
        model.loglikelihood([request], disable_tqdm=True)
    ((_, context_ids, continuation_ids),) = forward.call_args.args[0]
    return context_ids, continuation_ids


def _ours(
    context: str, continuation: str, *, add_bos: bool, words: bool, max_length: int | None = None
) -> tuple[list[int], int, int]:
    prompter = Prompter(
        PromptOptions(question="", split_rule="lm_eval", delimiter=""),
        tokenizer=text_tokenizer(add_bos=add_bos, words=words),
        max_length=max_length,
    )
    prompt = prompter.prompt([Message("user", context)], reserve=0)
    ids, start, cut = prompter.continuation(prompt, continuation)
    assert ids is not None
    return list(ids), start, cut


@pytest.mark.parametrize("add_bos", [False, True])
@pytest.mark.parametrize("words", [False, True])
@settings(max_examples=150, deadline=None)
@given(begin=with_bos, context=texts, continuation=texts.filter(bool))
def test_pair(add_bos: bool, words: bool, begin: str, context: str, continuation: str) -> None:
    context = begin + context
    context_ids, continuation_ids = _theirs(context, continuation, add_bos=add_bos, words=words)
    ids, start, _ = _ours(context, continuation, add_bos=add_bos, words=words)
    if context_ids and continuation_ids:
        assert (ids, start) == (context_ids + continuation_ids, len(context_ids))
    else:  # lm-eval fails on these
        assert 1 <= start < len(ids)


@settings(max_examples=100, deadline=None)
@given(context=texts.filter(lambda text: bool(text.strip())), continuation=texts.filter(bool), room=st.integers(1, 30))
def test_pair_that_is_cut_to_the_context(context: str, continuation: str, room: int) -> None:
    """lm-eval keeps the last ``max_length + 1`` ids, because the last is never fed."""
    context_ids, continuation_ids = _theirs(context, continuation, add_bos=True, words=True)
    assume(0 < len(continuation_ids) <= room)
    kept = (context_ids + continuation_ids)[-(room + 1) :]
    ids, start, cut = _ours(context, continuation, add_bos=True, words=True, max_length=room)
    assert (ids, start) == (kept, len(kept) - len(continuation_ids))
    assert cut == max(0, len(context_ids + continuation_ids) - room - 1)


def test_continuation_that_begins_with_bos_and_has_no_context() -> None:
    context_ids, continuation_ids = _theirs("", f"{BOS}the answer", add_bos=True, words=True)
    assert len(context_ids) == 1
    assert _ours("", f"{BOS}the answer", add_bos=True, words=True)[:2] == (context_ids + continuation_ids, 1)


@settings(max_examples=200, deadline=None)
@given(ids=st.lists(st.integers(1, 1000), min_size=1, max_size=60), max_length=st.integers(1, 20))
def test_windows(ids: list[int], max_length: int) -> None:
    assert [(list(window), start) for window, start in sliding_windows(ids, 0, max_length)] == _rolled(
        ids, 0, max_length
    )


@settings(max_examples=60, deadline=None)
@given(text=texts.filter(bool), max_length=st.integers(2, 12))
def test_windows_of_a_text(text: str, max_length: int) -> None:
    """With a tokenizer that adds no BOS; where one does, lm-eval scores that BOS behind another, and we do not."""
    tokenizer = text_tokenizer()
    prompter = Prompter(PromptOptions(question=""), tokenizer=tokenizer, max_length=max_length)
    model = _model(False, True)
    expected = _rolled(model.tok_encode(text), model.prefix_token_id, max_length)
    assert [(list(window), start) for window, start in prompter.windows(text)] == expected


def _rolled(ids: list[int], prefix: int, max_length: int) -> list[Scored]:
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    windows = get_rolling_token_windows(ids, prefix, max_length, context_len=1)
    return [(context + scored, len(context)) for context, scored in map(make_disjoint_window, windows)]
