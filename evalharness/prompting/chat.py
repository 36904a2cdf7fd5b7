"""A conversation as the model's own chat template shows it."""

from __future__ import annotations

from collections.abc import Sequence

from evalharness.chat_templates import ChatTemplateError, render_template
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
    if tokenizer.chat_template is None:
        raise UsageError("--chat: this model has no chat template; leave --chat out to prompt it with plain text.")
    turns = [{"role": message.role, "content": message.content} for message in messages]
    shown = [openai_tool(tool) for tool in tools] or None
    try:
        return render_template(tokenizer.chat_template, turns, tokenizer.special_tokens, asks=True, tools=shown)
    except ChatTemplateError as error:
        raise DataError(f"the model's chat template {error}") from None
