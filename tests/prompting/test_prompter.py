"""Turns become messages, text and ids by one path."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers_for_tests import EOS, text_tokenizer

from evalharness.errors import DataError, UsageError
from evalharness.prompting.options import ChoiceOptions, DocumentOptions, PromptOptions, TargetOptions
from evalharness.prompting.prompter import Prompter, Renderer, Turn
from evalharness.types import Message, Sample, Tokenizer, ToolSchema

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


def test_what_stands_between_the_demonstrations_and_the_question() -> None:
    prompt = PromptOptions(question="{{ q }}", between="Now you, {{ name }}.\n", answer="{{ a }}")
    renderer = _renderer(prompt, target="{{ a }}")
    sample = _sample(q="1 + 1?", a="2", name="Ida")
    assert renderer.demonstration(sample, reasoned=False).question == "1 + 1?"
    assert renderer.questions(sample) == [renderer.last_question(sample)] == ["Now you, Ida.\n1 + 1?"]
    assert renderer.columns == {"q", "a", "name"}
    assert renderer.demonstration_columns(reasoned=False) == {"q", "a"}


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


# --------------------------------------------------------------------------- several right answers


ASKED = PromptOptions(question="{{ q }}")


def test_any_of_several_texts_may_be_right() -> None:
    renderer = _renderer(ASKED, target=TargetOptions(any_of="{{ names }}"))
    sample = _sample(q="Who?", names=["Ada", "Lovelace"])
    assert renderer.reference(sample).target == ("Ada", "Lovelace")
    assert renderer.demonstration(sample, reasoned=False) == Turn("Who?", "Ada")
    assert renderer.columns == {"q", "names"}


@pytest.mark.parametrize(("names", "sentence"), [([], "sample 7 has no right text"), ("Ada", "a list of texts")])
def test_right_texts_that_are_none_are_refused(names: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=rf"own.yaml: target.any_of: .*{sentence}"):
        _renderer(ASKED, target=TargetOptions(any_of="{{ names }}")).reference(_sample(q="", names=names))


def test_any_of_several_choices_may_be_right() -> None:
    renderer = _renderer(ASKED, choices=ChoiceOptions(texts="{{ c }}", golds="{{ labels | positions_of(1) }}"))
    sample = _sample(q="Which?", c=["a", "b", "c"], labels=[0, 1, 1])
    assert renderer.reference(sample).target == (1, 2)
    assert renderer.demonstration(sample, reasoned=False) == Turn("Which?", "b")


@pytest.mark.parametrize("golds", [[], [3], ["1"], 1])
def test_positions_that_are_none_are_refused(golds: Any) -> None:
    renderer = _renderer(ASKED, choices=ChoiceOptions(texts="{{ c }}", golds="{{ golds }}"))
    with pytest.raises(DataError, match=r"own.yaml: choices.golds: "):
        renderer.reference(_sample(q="", c=["a", "b", "c"], golds=golds))


@pytest.mark.parametrize("given", [{}, {"gold": "{{ 0 }}", "golds": "{{ [0] }}"}])
def test_one_way_of_saying_what_is_right(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="say which choice is right"):
        ChoiceOptions(texts="{{ c }}", **given)


def test_choices_that_stand_in_the_question() -> None:
    choices = ChoiceOptions(texts=("{{ one }}", "{{ two }}"), gold="{{ g }}", continuation="{{ rest }}")
    renderer = _renderer(PromptOptions(question="{{ start }}{{ choice }}"), choices=choices)
    sample = _sample(start="The ", one="cup", two="box", rest="was big.", g=1)
    assert renderer.choices_in_question
    assert renderer.questions(sample) == ["The cup", "The box"]
    assert renderer.after_choice(sample) == "was big."
    assert renderer.demonstration(sample, reasoned=False) == Turn("The box", "was big.")
    assert renderer.columns == {"start", "one", "two", "rest", "g"}


# --------------------------------------------------------------------------- columns and descriptions


def test_what_only_a_demonstration_shows_is_no_column_of_a_sample() -> None:
    renderer = _renderer(
        PromptOptions(question="{{ q }}", answer="{{ short }}", reasoned_answer="{{ long }}"), target="{{ t }}"
    )
    assert renderer.columns == {"q", "t"}
    assert renderer.demonstration_columns(reasoned=False) == {"q", "short"}
    assert renderer.demonstration_columns(reasoned=True) == {"q", "long"}


def test_a_description_of_its_own_for_a_subset() -> None:
    renderer = _renderer(
        PromptOptions(question="{{ q }}", description="All.", descriptions={"law": "Of law."}), target="{{ t }}"
    )
    described = [renderer.description(replace(_sample(q="", t=""), subset=subset)) for subset in ("law", "art", None)]
    assert described == ["Of law.", "All.", "All."]


# --------------------------------------------------------------------------- tools

CHATML_WITH_TOOLS = "{% for t in tools or [] %}[{{ t.function.name }}]{% endfor %}" + CHATML
STOP = ToolSchema(name="stop", description="Ends it.", parameters={"type": "object", "properties": {}})


def test_a_chat_template_shows_the_tools_and_the_ids_hold_them() -> None:
    tokenizer = text_tokenizer(chat_template=CHATML_WITH_TOOLS)
    prompter = _prompter(tokenizer, chat=True)
    plain = prompter.prompt([Message("user", "Q1")], reserve=0)
    prompt = prompter.with_tools(plain, [STOP], reserve=0)
    assert (plain.text, plain.tools) == ("<user>Q1<assistant>", ())
    assert (prompt.text, prompt.tools) == ("[stop]<user>Q1<assistant>", (STOP,))
    assert prompt.ids == tuple(tokenizer.encode(prompt.text))
    further = prompter.extended(prompt, "A1", "\nQ2", reserve=0)
    assert (further.text, further.tools) == ("[stop]<user>Q1<assistant>A1<user>Q2<assistant>", (STOP,))
    assert prompter.with_tools(plain, [], reserve=0) is plain


def test_tools_count_in_the_length_of_a_prompt() -> None:
    tokenizer = text_tokenizer(chat_template=CHATML_WITH_TOOLS)
    prompter = _prompter(tokenizer, chat=True, max_length=8)
    prompt = prompter.with_tools(prompter.prompt([Message("user", "Q1")], reserve=2), [STOP], reserve=2)
    assert prompt.cut == len(tokenizer.encode(prompt.text)) - 6 > 0


def test_a_server_is_told_of_the_tools() -> None:
    """Without a tokenizer the messages are sent, and the text that is kept beside them is the plain one."""
    prompter = _prompter()
    prompt = prompter.with_tools(prompter.prompt([Message("user", "Q1")], reserve=0), [STOP], reserve=0)
    assert (prompt.text, prompt.tools) == ("Q1", (STOP,))
    assert prompter.extended(prompt, " A1", " Q2", reserve=0).tools == (STOP,)


@pytest.mark.parametrize(
    ("chat", "template", "told"),
    [
        (False, CHATML_WITH_TOOLS, "native function calls need a conversation; add --chat."),
        (True, CHATML, "this model's chat template shows no tools"),
    ],
)
def test_tools_that_a_model_would_not_see_are_refused(chat: bool, template: str, told: str) -> None:
    prompter = _prompter(text_tokenizer(chat_template=template), chat=chat)
    with pytest.raises(UsageError, match=told):
        prompter.with_tools(prompter.prompt([Message("user", "Q1")], reserve=0), [STOP], reserve=0)


def test_a_rows_functions_are_its_tools() -> None:
    renderer = _renderer(PromptOptions(question="{{ q }}", tools="{{ functions }}"), target="x")
    sample = _sample(q="?", functions=[{"name": "stop", "description": "Ends it."}])
    assert renderer.tools(sample) == (STOP,)
    assert renderer.columns == {"q", "functions"}
    with pytest.raises(DataError, match=r"prompt\.tools: this field must yield a list of functions, not 3\."):
        renderer.tools(_sample(q="?", functions=3))


def test_a_task_without_tools_has_none_to_call() -> None:
    with pytest.raises(DataError, match=r"prompt\.tools is missing"):
        _renderer(PromptOptions(question="{{ q }}"), target="x").tools(_sample(q="?"))
