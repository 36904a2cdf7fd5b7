"""What a judge is shown of others' words, so that they cannot pass for its prompt or for a turn of its own.

The judge's verdict is read in its own completion alone, whatever a candidate writes. A candidate could still speak to
the judge: close the brackets that it stands in and go on as the prompt, or spell the special tokens that begin a turn
of a conversation. Both are broken by a backslash, and nothing else of it is changed.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_SPECIAL = re.compile(
    r"<\|[^<>|\s][^<>|\n]{0,60}\|>|<｜[^<>｜\n]{1,60}｜>|</?s>|<(?:bos|eos|pad|unk|start_of_turn|end_of_turn)>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS)\]|<</?SYS>>"
)
"""Tokens by which the chat templates of the known families of models begin and end a turn."""
_SHORTEST = 3
"""Characters of a line that fences something off."""


@lru_cache(maxsize=256)
def fences_of(source: str) -> tuple[str, ...]:
    """The lines of a template's own text that stand right before and after what is filled in."""
    texts = [[line.strip() for line in text.splitlines() if line.strip()] for text in _TAG.split(source)]
    ends = [lines[-1] for lines in texts[:-1] if lines] + [lines[0] for lines in texts[1:] if lines]
    return tuple(dict.fromkeys(line for line in ends if len(line) >= _SHORTEST))


def quoted(text: str, fences: Collection[str] = (), special: Collection[str] = ()) -> str:
    """`text` with a backslash before each of the fences, whatever its case and spaces, and inside of special tokens.

    Args:
        special: the judge model's own special tokens, beside those of the known families.
    """
    broken = _SPECIAL.sub(_inside, text)
    for token in special:
        if len(token) > 1 and token in broken:
            broken = broken.replace(token, f"{token[0]}\\{token[1:]}")
    return _pattern(tuple(fences)).sub(lambda fence: f"\\{fence[0]}", broken) if fences else broken


def _inside(token: re.Match[str]) -> str:
    return f"{token[0][0]}\\{token[0][1:]}"


@lru_cache(maxsize=256)
def _pattern(fences: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(fences, key=len, reverse=True)
    return re.compile("|".join(r"\s+".join(map(re.escape, fence.split())) for fence in longest_first), re.IGNORECASE)
