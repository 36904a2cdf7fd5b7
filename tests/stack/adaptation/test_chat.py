"""Token ids and what of them is learned, beside what the texts are and beside transformers' own mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stack.adaptation.tiny_finetuning import FEW, TEMPLATE, Assistant, System, User, tokenizer
from tokenizers_for_tests import text_tokenizer, transformers_tokenizer

from evalharness.stack.adaptation.chat import ChatEncoder, Encoded
from evalharness.stack.adaptation.conversations import Conversation, Turn, conversation
from evalharness.stack.adaptation.rows import Row
from evalharness.stack.adaptation.templates import template_source
from evalharness.stack.checkpoints.load import load_tokenizer
from evalharness.stack.errors import TrainingError
from evalharness.stack.tokenization.text import TextTokenizer

HERE = Path()


def said(*messages: dict[str, str]) -> Conversation:
    return Conversation("chats.jsonl:1", tuple(Turn(**message) for message in messages))


def shown(tokens: TextTokenizer, encoded: Encoded) -> str:
    """The text, with what is learned in brackets."""
    parts, inside = [], False
    for id, learned in zip(encoded.ids_S.tolist(), encoded.learned_S.tolist(), strict=True):
        if learned != inside:
            parts.append("[" if learned else "]")
        inside = learned
        parts.append(tokens.tokenizer.decode([id], skip_special_tokens=False))
    return "".join(parts) + ("]" if inside else "")


def encoded(*messages: dict[str, str], template: str = TEMPLATE, answers: Any = "all") -> str:
    return shown(tokenizer(), ChatEncoder(tokenizer(), template, answers)(said(*messages)))


TURNS = (System("Be brief."), User("one"), Assistant("two"), User("three"), Assistant("four"))


def test_answers_and_what_ends_them_are_learned() -> None:
    assert encoded(User("one"), Assistant("two")) == "<s>user\none</s>\n<s>assistant\n[two</s>]\n"
    assert encoded(*TURNS) == (
        "<s>system\nBe brief.</s>\n<s>user\none</s>\n<s>assistant\n[two</s>]\n<s>user\nthree</s>\n<s>assistant\n"
        "[four</s>]\n"
    )


def test_the_last_answer_alone() -> None:
    assert encoded(*TURNS, answers="last").count("[") == 1
    assert encoded(*TURNS, answers="last").endswith("<s>assistant\n[four</s>]\n")


def test_what_follows_the_last_answer_is_not_learned() -> None:
    assert encoded(User("one"), Assistant("two"), User("three")).endswith("[two</s>]\n<s>user\nthree</s>\n")


@pytest.mark.parametrize("messages", [*FEW, list(TURNS)])
def test_the_mask_is_that_of_transformers(messages: list[dict[str, str]]) -> None:
    theirs = transformers_tokenizer()
    theirs.chat_template = TEMPLATE
    found = theirs.apply_chat_template(messages, return_assistant_tokens_mask=True, return_dict=True, tokenize=True)
    ours = ChatEncoder(tokenizer(), TEMPLATE)(said(*messages))
    assert ours.ids_S.tolist() == found["input_ids"]
    assert ours.learned_S.tolist() == [bool(each) for each in found["assistant_masks"]]


def test_the_embedded_models_own_template(smollm2: Path) -> None:
    tokens = load_tokenizer(smollm2)
    assert tokens.chat_template is not None
    told = shown(tokens, ChatEncoder(tokens, tokens.chat_template)(said(User("Hi"), Assistant("Hello, you."))))
    assert told.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n[Hello, you.<|im_end|>]\n")
    assert told.startswith("<|im_start|>system\n")


# --------------------------------------------------------------------------- templates by name


def named(name: str, *messages: dict[str, str], add_bos: bool = False) -> str:
    tokens = text_tokenizer(add_bos=add_bos)
    return shown(tokens, ChatEncoder(tokens, template_source(name, tokens, HERE))(said(*messages)))


def test_plain_texts() -> None:
    assert named("plain", User("Q: one\nA:"), Assistant(" two")) == "Q: one\nA:[ two</s>]"
    assert named("plain", User("Q: one\nA:"), Assistant(" two"), add_bos=True) == "<s>Q: one\nA:[ two</s>]"


def test_a_dialogue() -> None:
    assert named("dialogue", *TURNS) == (
        "Be brief.\n\nUser: one\n\nAssistant:[ two</s>]\n\nUser: three\n\nAssistant:[ four</s>]"
    )


def test_templates_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no chat template of its own; take plain or dialogue"):
        template_source("own", text_tokenizer(), tmp_path)
    with pytest.raises(TrainingError, match=r"'chatml' is none; give own, plain, dialogue, or a file"):
        template_source("chatml", tokenizer(), tmp_path)
    with pytest.raises(TrainingError, match=r"mine\.jinja: there is no such file"):
        template_source("mine.jinja", tokenizer(), tmp_path)
    (tmp_path / "mine.jinja").write_text("{{ messages[0].content }}")
    assert template_source("mine.jinja", tokenizer(), tmp_path) == "{{ messages[0].content }}"
    endless = TextTokenizer(tokenizer().tokenizer, special_tokens={}, add_bos=False)
    with pytest.raises(TrainingError, match=r"plain ends answers by the EOS, and the tokenizer has none"):
        template_source("plain", endless, tmp_path)


def test_without_a_token_that_ends_an_answer_all_of_its_text_is_learned() -> None:
    source = "{% for m in messages %}{{ m.content + '.\\n' }}{% endfor %}"
    assert encoded(User("one"), Assistant("two"), template=source) == "one.\n[two.\n]"


# --------------------------------------------------------------------------- what is refused


def test_tokens_over_the_border_of_an_answer() -> None:
    """Where merges run over spaces, the end of a prompt and the beginning of an answer are one token."""
    tokens = text_tokenizer(words=False)
    encode = ChatEncoder(tokens, template_source("plain", tokens, HERE))
    with pytest.raises(TrainingError, match=r"^chats.jsonl:1: message 2: the tokenizer joins .* move the space"):
        encode(said(User("The answer"), Assistant(" is 42.")))


FORGETFUL = (
    "{% for m in messages %}{% if m.role == 'user' or loop.last %}"
    "{{ '<s>' + m.role + '\\n' + m.content + '</s>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant\\n' }}{% endif %}"
)
"""Leaves all answers out but the last, as templates do that hide thoughts."""


def test_a_template_that_shows_answers_otherwise_once_more_follows() -> None:
    with pytest.raises(TrainingError, match=r"message 3: .* once more follows; .*\(objective.answers: last\)"):
        encoded(*TURNS, template=FORGETFUL)
    assert encoded(*TURNS, template=FORGETFUL, answers="last") == (
        "<s>user\none</s><s>user\nthree</s><s>assistant\n[four</s>]"
    )


def test_a_template_that_shows_no_answer() -> None:
    source = "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"
    with pytest.raises(TrainingError, match=r"^chats.jsonl:1: no token of it is learned"):
        encoded(User("one"), Assistant("two"), template=source)


def test_a_template_that_refuses() -> None:
    source = "{{ raise_exception('no system here.') }}"
    with pytest.raises(TrainingError, match=r"^chats.jsonl:1: the chat template refuses .*: no system here\.$"):
        encoded(System("a"), User("one"), Assistant("two"), template=source)


def test_a_row_becomes_a_conversation() -> None:
    rows: list[dict[str, Any]] = [
        {"messages": [User("one"), Assistant("two")]},
        {"prompt": "one", "completion": "two", "id": 7},
        {"prompt": [User("one")], "completion": [Assistant("two")], "messages": None},
    ]
    for row in rows:
        assert conversation(Row("here", row)).turns == (Turn("user", "one"), Turn("assistant", "two"))
