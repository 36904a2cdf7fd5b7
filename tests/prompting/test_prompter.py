"""Turns become messages, text and ids by one path."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers_for_tests import EOS, text_tokenizer

from evalharness.errors import DataError
from evalharness.prompting.options import ChoiceOptions, DocumentOptions, PromptOptions
from evalharness.prompting.prompter import Prompter, Renderer, Turn
from evalharness.types import Message, Sample, Tokenizer

CHATML = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
TURNS = [Turn("Q1", "A1"), Turn("Q2", "A2")]


def _prompter(
    tokenizer: Tokenizer | None = None, *, max_length: int | None = None, chat: bool = False, system: str | None = None,
    **options: Any,
) -> Prompter:  # fmt: skip
    return Prompter(
        PromptOptions(question="", **options),
        tokenizer=tokenizer,
        max_length=max_length,
        chat=chat,
        system_prompt=system,
    )


def _sample(**row: Any) -> Sample:
    return Sample(id="7", index=7, row=row, content_hash="7")


def test_plain_text() -> None:
    prompter = _prompter()
    messages = prompter.messages("About.\n\n", TURNS, "Q3")
    assert messages == (
        Message("system", "About.\n\n"),
        Message("user", "Q1"),
        Message("assistant", "A1"),
        Message("user", "Q2"),
        Message("assistant", "A2"),
        Message("user", "Q3"),
    )
    assert prompter.prompt(messages, reserve=0).text == "About.\n\nQ1 A1\n\nQ2 A2\n\nQ3"


def test_delimiter_and_separator() -> None:
    prompter = _prompter(delimiter=" -> ", separator="\n")
    assert prompter.plain(prompter.messages("", TURNS, "Q3")) == "Q1 -> A1\nQ2 -> A2\nQ3"


@pytest.mark.parametrize(
    ("system", "description", "text"),
    [
        (None, "", "Q"),
        ("Be brief.", "", "Be brief.\n\nQ"),
        ("Be brief.", "About.\n\n", "Be brief.\n\nAbout.\n\nQ"),
    ],
)
def test_system_prompt_stands_first(system: str | None, description: str, text: str) -> None:
    prompter = _prompter(system=system)
    assert prompter.plain(prompter.messages(description, [], "Q")) == text


def test_chat_leaves_the_delimiter_to_the_template() -> None:
    tokenizer = text_tokenizer(chat_template=CHATML)
    prompter = _prompter(tokenizer, chat=True)
    prompt = prompter.prompt(prompter.messages("", TURNS[:1], "Q2"), reserve=0)
    assert prompt.text == "<user>Q1<assistant>A1<user>Q2<assistant>"
    assert prompter.delimited("yes") == "yes"
    assert _prompter(tokenizer).delimited("yes") == " yes"


def test_a_further_turn() -> None:
    plain, chat = _prompter(), _prompter(text_tokenizer(chat_template=CHATML), chat=True)
    first = plain.prompt(plain.messages("", [], "Q"), reserve=0)
    assert plain.extended(first, " so", "\nThus", reserve=0).text == "Q so\nThus"
    first = chat.prompt(chat.messages("", [], "Q"), reserve=0)
    assert chat.extended(first, "so", "\nThus", reserve=0).text == "<user>Q<assistant>so<user>Thus<assistant>"


def test_without_a_tokenizer_there_are_no_ids() -> None:
    prompter = _prompter()
    prompt = prompter.prompt([Message("user", "Q")], reserve=0)
    assert (prompt.ids, prompter.continuation(prompt, "yes")) == (None, (None, 1, 0))
    with pytest.raises(DataError, match="tokenizer"):
        prompter.windows("text")


@settings(max_examples=50, deadline=None)
@given(text=st.text("abc Q:\n", min_size=1, max_size=60), room=st.integers(1, 20), reserve=st.integers(0, 10))
def test_a_long_prompt_is_cut_on_the_left_and_counted(text: str, room: int, reserve: int) -> None:
    tokenizer = text_tokenizer()
    every = tokenizer.encode(text)
    prompt = _prompter(tokenizer, max_length=room + reserve).prompt([Message("user", text)], reserve=reserve)
    assert prompt.ids == tuple(every[-room:])
    assert prompt.cut == max(0, len(every) - room)
    assert prompt.text == text


def test_too_long_can_be_an_error() -> None:
    prompter = _prompter(text_tokenizer(), max_length=4, too_long="error")
    with pytest.raises(DataError, match=r"the model's context holds 4; .*fewer --shots"):
        prompter.prompt([Message("user", "a b c d e f g h")], reserve=0)


def test_a_continuation_without_a_context_stands_behind_bos_or_eos() -> None:
    tokenizer = text_tokenizer()
    tokenizer.bos_id = None
    ids, start, _ = _prompter(tokenizer).continuation(_prompter().prompt([Message("user", "")], reserve=0), "yes")
    assert ids is not None
    assert (ids[0], start) == (tokenizer.tokenizer.token_to_id(EOS), 1)
    tokenizer.eos_id = None
    with pytest.raises(DataError, match="needs a BOS or EOS token"):
        _prompter(tokenizer).windows("text")


# --------------------------------------------------------------------------- renderer


def _renderer(prompt: PromptOptions, **parts: Any) -> Renderer:
    given: dict[str, Any] = {
        "target": None,
        "choices": None,
        "continuation": None,
        "document": None,
        "where": "own.yaml",
    }
    return Renderer(prompt, **(given | parts))


def test_lettered_options() -> None:
    prompt = PromptOptions(template="lettered_choices", question="{{ q }}", options="{{ c }}")
    renderer = _renderer(prompt, choices=ChoiceOptions(texts=("A", "B"), gold="{{ a }}"))
    assert renderer.question(_sample(q="Which?", c=["one", "two"], a=1)) == "Which?\nA. one\nB. two\nAnswer:"
    assert renderer.columns == {"q", "c", "a"}
    with pytest.raises(DataError, match=r"prompt\.options: this field must yield a list of texts"):
        renderer.question(_sample(q="Which?", c="one", a=1))


@pytest.mark.parametrize(
    ("parts", "answer"),
    [
        ({"choices": ChoiceOptions(texts="{{ c }}", gold="{{ a }}")}, "two"),
        ({"target": "{{ c[0] }}"}, "one"),
    ],
)
def test_a_demonstration_shows_what_is_right(parts: dict[str, Any], answer: str) -> None:
    renderer = _renderer(PromptOptions(question="{{ q }}"), **parts)
    assert renderer.demonstration(_sample(q="Q", c=["one", "two"], a=1), reasoned=False) == Turn("Q", answer)


def test_a_reasoned_demonstration_needs_a_reasoned_answer() -> None:
    renderer = _renderer(PromptOptions(question="{{ q }}", answer="{{ a }}"), target="{{ a }}")
    with pytest.raises(DataError, match=r"prompt.reasoned_answer is missing.*--method direct"):
        renderer.demonstration(_sample(q="Q", a="1"), reasoned=True)


@pytest.mark.parametrize("gold", [-1, 2, "1", True, None, 0.0])
def test_a_gold_position_outside_of_the_choices(gold: Any) -> None:
    renderer = _renderer(PromptOptions(question="q"), choices=ChoiceOptions(texts=("A", "B"), gold="{{ a }}"))
    with pytest.raises(DataError, match=r"choices.gold: sample 7 has the gold position .* 2 choices .* from 0 to 1"):
        renderer.reference(_sample(a=gold))


def test_units_are_counted_in_the_named_text() -> None:
    document = DocumentOptions(text="{{ page | replace(' ,', ',') }}", units_of="{{ page }}")
    renderer = _renderer(PromptOptions(question=""), document=document)
    sample = _sample(page=" é , b ")
    assert renderer.document(sample) == " é, b "
    assert renderer.reference(sample).units == {"words": 5, "bytes": 8, "characters": 7}
