"""A model's own chat template: Jinja2 as its authors wrote it, rendered in the sandbox.

Follows the conventions that chat templates are written for: ``messages``, ``add_generation_prompt``, the
special tokens by name, ``tools`` in OpenAI's form, ``documents`` (none here), ``raise_exception``, ``strftime_now``,
``{% generation %}`` blocks, and trimmed blocks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NoReturn

from evalharness.errors import DataError, UsageError
from evalharness.prompting.functions import openai_tool
from evalharness.types import Message, Tokenizer, ToolSchema


def render_chat(tokenizer: Tokenizer, messages: Sequence[Message], tools: Sequence[ToolSchema] = ()) -> str:
    """The conversation as the model was trained to see it, ending where its answer begins.

    Args:
        tools: what the model may call; a template shows them in the way that its model knows, or not at all.

    Raises:
        UsageError: the model has no chat template.
        DataError: the template does not parse, reaches for Python's internals, or refuses the conversation
            (a role it does not know, two turns of one role).
    """
    from jinja2 import TemplateSyntaxError

    source = tokenizer.chat_template
    if source is None:
        raise UsageError("--chat: this model has no chat template; leave --chat out to prompt it with plain text.")
    turns = [{"role": message.role, "content": message.content} for message in messages]
    shown = [openai_tool(tool) for tool in tools] or None
    try:
        rendered = _compiled(source).render(
            messages=turns, tools=shown, documents=None, add_generation_prompt=True, **tokenizer.special_tokens
        )
    except TemplateSyntaxError as error:
        raise DataError(f"the model's chat template does not parse: line {error.lineno}: {error.message}") from None
    except Exception as error:  # a stranger's template can fail in any way
        raise DataError(f"the model's chat template refuses this conversation: {str(error).rstrip('.')}.") from None
    return str(rendered)


@lru_cache(maxsize=8)
def _compiled(source: str) -> Any:
    from jinja2 import nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """``{% generation %}`` marks what a model said, for training; in a prompt it is its content."""

        tags = {"generation"}  # noqa: RUF012  (jinja2 declares it so)

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation])
    env.filters["tojson"] = _tojson
    env.globals.update(raise_exception=_raise, strftime_now=_strftime_now)
    return env.from_string(source)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> NoReturn:
    from jinja2 import TemplateError

    raise TemplateError(message)


def _strftime_now(pattern: str) -> str:
    from datetime import datetime

    return datetime.now().strftime(pattern)
