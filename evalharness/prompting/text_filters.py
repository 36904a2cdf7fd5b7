"""Filters that task templates may use: small, named, pure functions on text.

The clean-ups of single benchmarks stand here too, so that a definition names them and holds no code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from evalharness.prompting.api_filters import apibench_request
from evalharness.prompting.bias_filters import FILTERS as BIAS_FILTERS
from evalharness.prompting.code_filters import functions_used, needs_one_process
from evalharness.prompting.function_filters import FILTERS as FUNCTION_FILTERS
from evalharness.prompting.option_filters import lettered_texts, mathqa_options, without_context_marks
from evalharness.prompting.reading_filters import FILTERS as READING_FILTERS
from evalharness.scoring.symbolic.boxes import last_box


def after(text: str, mark: str) -> str:
    """What follows the last `mark`, stripped; the whole text where the mark is missing."""
    return text.rsplit(mark, 1)[-1].strip()


def before(text: str, mark: str) -> str:
    """What precedes the first `mark`, stripped; the whole text where the mark is missing."""
    return text.split(mark, 1)[0].strip()


def from_json(text: str) -> Any:
    """The value that a text holds as JSON; whole numbers may have any number of digits."""
    return json.loads(text, parse_int=_whole)


def _whole(digits: str) -> int:
    # Python reads 4,300 digits at most; decimals have no such limit.
    return int(digits) if len(digits) < 4_000 else int(Decimal(digits))


def letter(position: int) -> str:
    """0 -> A, 1 -> B, ..."""
    return chr(ord("A") + position)


def position_of(items: Sequence[Any], item: Any) -> int:
    """Position of `item` among `items`: the gold position from a gold label."""
    return list(items).index(item)


def positions_of(items: Sequence[Any], item: Any) -> list[int]:
    """Every position of `item` among `items`: the gold positions from a list of labels."""
    return [position for position, each in enumerate(items) if each == item]


def full_stops(texts: Sequence[str]) -> list[str]:
    """The texts that say something, stripped, each with a full stop at its end."""
    return [text if text.endswith(".") else f"{text}." for text in (each.strip() for each in texts) if text]


def without_extensions(texts: Sequence[str]) -> list[str]:
    """The texts in sorted order, without those that begin with the one kept before them."""
    kept: list[str] = []
    for text in sorted(texts):
        if not kept or not text.startswith(kept[-1]):
            kept.append(text)
    return kept


def wikihow_clean(text: str) -> str:
    """HellaSwag's clean-up as published harnesses do it: bracketed WikiHow marks go, double spaces shrink once."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


# Order matters: each pair is applied to what the earlier ones left. The second one matches only text with
# slashes around it, surely by mistake; it stays because the published rule has it.
_WIKITEXT_RULES: tuple[tuple[str, str], ...] = (
    (r"s '", "s'"),
    (r"/' [0-9]/", "/'[0-9]/"),
    (r" @-@ ", "-"),
    (r" @,@ ", ","),
    (r" @\.@ ", "."),
    (r" : ", ": "),
    (r" ; ", "; "),
    (r" \. ", ". "),
    (r" ! ", "! "),
    (r" \? ", "? "),
    (r" , ", ", "),
    (r"\(\s*([^\)]*?)\s*\)", r"(\1)"),
    (r"\[\s*([^\]]*?)\s*\]", r"[\1]"),
    (r"{\s*([^}]*?)\s*}", r"{\1}"),
    (r"\"\s*([^\"]*?)\s*\"", r'"\1"'),
    (r"'\s*([^']*?)\s*'", r"'\1'"),
    (r"= = = =", "===="),
    (r"= = =", "==="),
    (r"= =", "=="),
    (r" ° ", "°"),
    (r" \n", "\n"),
    (r"\n ", "\n"),
    (r" N ", " 1 "),
    (r" 's", "'s"),
)


def wikitext_detokenize(text: str) -> str:
    """WikiText's published detokeniser: joins the marks that its tokenisation set apart."""
    for pattern, replacement in _WIKITEXT_RULES:
        text = re.sub(pattern, replacement, text)
    return text


FILTERS: dict[str, Callable[..., Any]] = {
    **BIAS_FILTERS,
    **FUNCTION_FILTERS,
    **READING_FILTERS,
    "after": after,
    "apibench_request": apibench_request,
    "before": before,
    "from_json": from_json,
    "full_stops": full_stops,
    "functions_used": functions_used,
    "last_box": last_box,
    "letter": letter,
    "lettered_texts": lettered_texts,
    "mathqa_options": mathqa_options,
    "needs_one_process": needs_one_process,
    "position_of": position_of,
    "positions_of": positions_of,
    "wikihow_clean": wikihow_clean,
    "wikitext_detokenize": wikitext_detokenize,
    "without_context_marks": without_context_marks,
    "without_extensions": without_extensions,
}
