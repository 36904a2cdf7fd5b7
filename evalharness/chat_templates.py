"""Chat templates: Jinja2 as a model's authors wrote it, rendered in the sandbox.

Follows the conventions that chat templates are written for: ``messages``, ``add_generation_prompt``, the special tokens
by name, ``tools`` in OpenAI's form, ``documents`` (none here), ``raise_exception``, ``strftime_now``,
``{% generation %}`` blocks, and trimmed blocks. The harness prompts by them, the stack makes training data by them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn


class ChatTemplateError(ValueError):
    """What is wrong with a template, or what it refuses, as a clause that follows its name."""


def render_template(
    source: str,
    messages: Sequence[Mapping[str, Any]],
    special_tokens: Mapping[str, str],
    *,
    asks: bool,
    tools: Sequence[Mapping[str, Any]] | None = None,
) -> str:
    """The conversation as text.

    Args:
        special_tokens: texts by the names that templates use: ``bos_token``, ``eos_token``.
        asks: whether the text ends where the model's answer begins.
        tools: what the model may call, which a template shows in the way that its model knows, or not at all.

    Raises:
        ChatTemplateError: the template does not parse, reaches for Python's internals, or refuses the conversation (a
            role it does not know, two turns of one role).
    """
    from jinja2 import TemplateSyntaxError

    try:
        rendered = _compiled(source).render(
            messages=messages, tools=tools, documents=None, add_generation_prompt=asks, **special_tokens
        )
    except TemplateSyntaxError as error:
        raise ChatTemplateError(f"does not parse: line {error.lineno}: {error.message}") from None
    except Exception as error:  # a stranger's template can fail in any way
        raise ChatTemplateError(f"refuses this conversation: {str(error).rstrip('.')}.") from None
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
