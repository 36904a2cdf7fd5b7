"""Objectives by name: which there are, and how one is made for a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator

from evalharness.stack.by_name import ByName
from evalharness.stack.training.denoisers import Denoising, SpanDenoisingOptions, UL2Options, special_tokens
from evalharness.stack.training.objectives import Objective, ObjectiveOptions
from evalharness.stack.training.tokenizer import with_special_tokens

if TYPE_CHECKING:
    from evalharness.stack.tokenization.text import TextTokenizer

KINDS = {
    "lm": ObjectiveOptions,
    "prefix_lm": ObjectiveOptions,
    "span_denoising": SpanDenoisingOptions,
    "ul2": UL2Options,
}

AnyObjectiveOptions = Annotated[
    ObjectiveOptions | SpanDenoisingOptions | UL2Options, BeforeValidator(ByName("objective", "name", KINDS))
]
"""The section `objective` of a pretraining's YAML."""


def make_objective(
    options: ObjectiveOptions | SpanDenoisingOptions | UL2Options, tokenizer: TextTokenizer, seed: int
) -> tuple[Objective | Denoising, TextTokenizer]:
    """The objective of a decoder's training, and the tokenizer with the special tokens that it needs.

    Raises:
        TrainingError: the tokenizer has one of them as a token of texts, or makes no token of a marker.
    """
    if isinstance(options, ObjectiveOptions):
        marker_ids = tokenizer.encode(options.marker) if options.marker else ()
        return Objective(options, seed, marker_ids), tokenizer
    extended, ids = with_special_tokens(tokenizer, special_tokens(options))
    return Denoising(options, ids, seed), extended
