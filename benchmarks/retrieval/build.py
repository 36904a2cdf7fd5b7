"""How long a corpus of 20,000 passages takes to be indexed, and a question to be looked up, ours beside rank_bm25.

A passage has 100 words of a vocabulary of 50,000 whose frequencies fall as 1 / rank, as in language; a question has 10.
Both sides start from texts and part them into the same words; rank_bm25 ranks by its BM25Okapi. They take turns. Prints
one JSON line; the bound is 5 s for ours.

    python benchmarks/retrieval/build.py [--passages 20000] [--questions 50] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from evalharness.data.corpus import Corpus, _indexed, _words
from evalharness.data.passages import Passage

BOUND = 5.0
K = 10


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--passages", type=int, default=20_000)
    options.add_argument("--questions", type=int, default=50)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    load = os.getloadavg()[0]
    texts, questions = _texts(given.passages, 100), _texts(given.questions, 10)
    passages = [Passage("", text) for text in texts]
    built: dict[str, list[float]] = {"ours": [], "rank_bm25": []}
    asked: dict[str, list[float]] = {"ours": [], "rank_bm25": []}
    _ours(passages[:100])  # libraries are loaded
    _theirs(texts[:100])
    for _ in range(given.rounds):
        for name, build, search in (
            ("ours", lambda: _ours(passages), lambda index, query: index.search(query, K)),
            ("rank_bm25", lambda: _theirs(texts), _ask_them),
        ):
            seconds, index = _timed(build)
            built[name].append(seconds)
            asked[name].append(_timed(lambda index=index, search=search: [search(index, q) for q in questions])[0])
    building = {name: round(statistics.median(values), 2) for name, values in built.items()}
    asking = {name: round(statistics.median(values) / len(questions) * 1_000, 2) for name, values in asked.items()}
    print(
        json.dumps(
            {
                "benchmark": "retrieval",
                "passages": given.passages,
                "build_seconds": building,
                "build_ratio": round(building["ours"] / building["rank_bm25"], 2),
                "milliseconds_a_question": asking,
                "question_ratio": round(asking["ours"] / asking["rank_bm25"], 3),
                "bound": BOUND,
                "within": building["ours"] < BOUND,
                "load": load,
            }
        )
    )


def _texts(count: int, words: int) -> list[str]:
    draw = random.Random(f"{count} texts of {words} words")
    vocabulary = ["".join(draw.choices("abcdefghijklmnoprstuvwz", k=draw.randint(3, 9))) for _ in range(50_000)]
    weights = list(accumulate(1 / rank for rank in range(1, len(vocabulary) + 1)))
    return [" ".join(draw.choices(vocabulary, cum_weights=weights, k=words)) for _ in range(count)]


def _ours(passages: list[Passage]) -> Corpus:
    _indexed.cache_clear()
    return Corpus(passages)


def _theirs(texts: list[str]) -> Any:
    from rank_bm25 import BM25Okapi

    return BM25Okapi([_words(text) for text in texts], k1=0.9, b=0.4)


def _ask_them(index: Any, query: str) -> Any:
    return index.get_scores(_words(query)).argsort()[::-1][:K]


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    made = call()
    return time.perf_counter() - began, made


if __name__ == "__main__":
    main()
