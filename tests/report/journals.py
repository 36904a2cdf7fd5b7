"""Runs with journals as models leave them, of rows that we wrote: texts that were read, choices that were scored."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from runs_for_tests import lines_of, write_run

from evalharness.records.folder import Run
from evalharness.records.strict_json import one_line

Change = Callable[[int, dict[str, Any]], Any]


def rewritten(run: Run, change: Change) -> Run:
    """The run with every line of its journal changed."""
    lines = lines_of(run)
    for place, line in enumerate(lines):
        change(place, line)
    run.journal.write_bytes(b"".join(map(one_line, lines)))
    return run


def choice_run(folder: Path, totals: Sequence[Sequence[float]], right: Sequence[int], **options: Any) -> Run:
    """Samples answered by choosing, with the log-likelihoods of their choices."""
    scores = [float(max(range(len(row)), key=row.__getitem__) == gold) for row, gold in zip(totals, right, strict=True)]

    def change(place: int, line: dict[str, Any]) -> None:
        row = list(totals[place])
        line |= {"target": right[place], "choices": [f"box {number}" for number in range(len(row))]}
        line |= {"log_likelihoods": row, "greedy": [None] * len(row), "answer": None}
        call = {"prompt": f"Which box holds marble {place}?\nAnswer:"}
        call["continuations"] = [f" box {number}" for number in range(len(row))]  # type: ignore[assignment]
        call["log_likelihoods"] = [[total] for total in row]  # type: ignore[assignment]
        line["repeats"] = [{"scores": line["scores"], "calls": [call]}]

    return rewritten(write_run(folder, scores, **options), change)


def random_choices(n: int, count: int = 4, seed: int = 0) -> tuple[list[list[float]], list[int]]:
    draw = random.Random(seed)
    right = [draw.randrange(count) for _ in range(n)]
    totals = [[draw.gauss(1.0 if place == gold else 0.0, 1.0) for place in range(count)] for gold in right]
    return totals, right


def text_run(
    folder: Path, texts: Sequence[str], answers: Sequence[str | None], targets: Sequence[str], **options: Any
) -> Run:
    """Samples answered in words; an answer is marked where it stands in its text."""
    scores = [float(answer == target) for answer, target in zip(answers, targets, strict=True)]
    demonstrations = options.pop("demonstrations", "")

    def change(place: int, line: dict[str, Any]) -> None:
        text, answer = texts[place], answers[place]
        for key in ("choices", "log_likelihoods", "greedy"):
            del line[key]
        line |= {"target": targets[place], "completions": [text], "log_likelihoods": [], "greedy": [], "answer": answer}
        repeat: dict[str, Any] = {"answer": answer, "scores": line["scores"]}
        if answer is None:
            line["flags"] = ["unparsed"]
            repeat["why"] = "no coin is named in the text"
        else:
            begin = text.rindex(answer)
            repeat["span"] = [begin, begin + len(answer)]
        completion = {"text": text, "finish_reason": "stop", "stop": "\n\n", "tokens": len(text.split())}
        prompt = f"{demonstrations}Q: {question(place)}\nA:"
        repeat["calls"] = [{"prompt": prompt, "tokens": len(prompt.split()), "completions": [completion]}]
        line["repeats"] = [repeat]

    return rewritten(write_run(folder, scores, **options), change)


NAMES = ("Mira", "Otto", "Lena", "Paul", "Rosa", "Emil", "Nora", "Hugo")


def question(place: int) -> str:
    """A coin that is turned, or not, by a few people."""
    draw = random.Random(place)
    turns = ". ".join(
        f"{name} {draw.choice(('flips', 'does not flip'))} the coin" for name in draw.sample(NAMES, draw.randint(2, 6))
    )
    return f"A coin lies heads up, number {draw.randrange(10**6)}. {turns}. Does it still lie heads up?"


def coin_run(folder: Path, n: int, *, seed: int = 0, demonstrations: str = "", words: int = 40, **options: Any) -> Run:
    """A chain of thought for every coin, of which some are wrong and some end in no answer."""
    draw = random.Random(seed)
    texts, answers, targets = [], [], []
    for place in range(n):
        targets.append(random.Random(place).choice(("yes", "no")))
        answer = draw.choice((targets[-1], targets[-1], "yes", "no", None))
        thought = " ".join(draw.choice(_WORDS) for _ in range(draw.randint(words // 2, words)))
        texts.append(f" {thought.capitalize()}." + ("" if answer is None else f" So the answer is {answer}."))
        answers.append(answer)
    return text_run(folder, texts, answers, targets, demonstrations=demonstrations, **options)


_WORDS = ("coin", "turned", "once", "more", "somebody", "lies", "other", "side", "odd", "even", "number", "heads",
          "tails", "changes", "leave", "before", "count", "person", "then", "because", "while", "so")  # fmt: skip


def long_demonstrations(characters: int) -> str:
    """Solved questions, the same before every sample."""
    told = ""
    place = 10**6
    while len(told) < characters:
        told += f"Q: {question(place)}\nA: We count the turns, {place % 7} of them. So the answer is yes.\n\n"
        place += 1
    return told
