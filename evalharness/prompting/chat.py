"""A model's own chat template: Jinja2 as its authors wrote it, rendered in the sandbox.

Follows the conventions that chat templates are written for: ``messages``, ``add_generation_prompt``, the
special tokens by name, ``raise_exception``, ``strftime_now``, and trimmed blocks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NoReturn

from evalharness.errors import DataError, UsageError
from evalharness.types import Message, Tokenizer


def render_chat(tokenizer: Tokenizer, messages: Sequence[Message]) -> str:
    """The conversation as the model was trained to see it, ending where its answer begins.

    Raises:
        UsageError: the model has no chat template.
        DataError: the template refuses the conversation (a role it does not know, two turns of one role).
    """
    from jinja2 import TemplateError

    source = tokenizer.chat_template
    if source is None:
        raise UsageError("--chat: this model has no chat template; leave --chat out to prompt it with plain text.")
    turns = [{"role": message.role, "content": message.content} for message in messages]
    try:
        rendered = _compiled(source).render(
            messages=turns, add_generation_prompt=True, **tokenizer.special_tokens
        )
    except TemplateError as error:
        raise DataError(f"the model's chat template refuses this conversation: {error}.") from None
    return str(rendered)


@lru_cache(maxsize=8)
def _compiled(source: str) -> Any:
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.filters["tojson"] = _tojson
    env.globals.update(raise_exception=_raise, strftime_now=_strftime_now)
    return env.from_string(source)


def _tojson(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> NoReturn:
    from jinja2 import TemplateError

    raise TemplateError(message)


def _strftime_now(pattern: str) -> str:
    from datetime import datetime

    return datetime.now().strftime(pattern)
