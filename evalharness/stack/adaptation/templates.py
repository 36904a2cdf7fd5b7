"""How conversations are written: templates by name, or in a file."""

from __future__ import annotations

from pathlib import Path

from evalharness.stack.errors import TrainingError
from evalharness.stack.tokenization.text import TextTokenizer

OWN = "own"
_BOS = "{{ bos_token }}"
_PLAIN = """\
{%- for message in messages %}
    {{- message.content }}
    {%- if message.role == 'assistant' %}{{ eos_token }}{% endif %}
{%- endfor %}"""
_DIALOGUE = """\
{%- for message in messages %}
    {%- if message.role == 'system' %}{{ message.content }}
    {%- elif message.role == 'user' %}{{ 'User: ' + message.content }}
    {%- elif message.role == 'assistant' %}{{ 'Assistant: ' + message.content + eos_token }}
    {%- else %}{{ raise_exception('it knows the roles system, user and assistant') }}
    {%- endif %}
    {%- if not loop.last or message.role != 'assistant' %}{{ '\\n\\n' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"""
NAMED = {"plain": _PLAIN, "dialogue": _DIALOGUE}
"""Templates that end an answer by the tokenizer's EOS."""


def template_source(name: str, tokenizer: TextTokenizer, base: Path) -> str:
    """The template of jinja2 that a name means.

    Raises:
        TrainingError: there is none; the tokenizer lacks the EOS that ends answers.
    """
    if name == OWN:
        if tokenizer.chat_template is None:
            raise TrainingError(
                f"template: the model has no chat template of its own; take {' or '.join(NAMED)}, or name a file that "
                "ends in .jinja."
            )
        return tokenizer.chat_template
    if name in NAMED:
        if tokenizer.eos_id is None:
            raise TrainingError(f"template: {name} ends answers by the EOS, and the tokenizer has none.")
        return (_BOS if tokenizer.add_bos else "") + NAMED[name]
    path = base / name
    if path.suffix != ".jinja":
        raise TrainingError(
            f"template: '{name}' is none; give {OWN}, {', '.join(NAMED)}, or a file that ends in .jinja."
        )
    if not path.is_file():
        raise TrainingError(f"template: {path}: there is no such file; paths start at {base}.")
    return path.read_text(encoding="utf-8")
