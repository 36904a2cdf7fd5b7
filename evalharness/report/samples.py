"""The samples of a run inside a page: those that matter first, compressed by the fifty, so that it opens at once.

The browser decompresses an index of all and then the fifty that are shown. Fifty prompts lie in one stream, so that
what they share (demonstrations, instructions) costs a few bytes a sample.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Mapping, MutableMapping, Sequence
from os.path import commonprefix
from typing import Any, NamedTuple

from evalharness.pages.badges import badge_class
from evalharness.pages.controls import visible
from evalharness.records.expected_calls import answer_text, target_text
from evalharness.records.strict_json import spelled
from evalharness.report.evidence import all_visible, evidence_of, paint
from evalharness.report.reading import Facts, Reported

MOST_SAMPLES = 2_000
"""Samples in a page unless all are asked for."""
TOGETHER = 50
"""Samples in one compressed stream, and on one page of the list."""
MOST_CHARACTERS = 20_000
"""Of one text, unless all is asked for: the middle of a longer one is left out."""
LEAST_SHARED = 200
"""Characters that all prompts of a subject begin with, from which on they are shown, and searched, apart."""
SHORT = 40
"""Characters of an answer in the list."""


class Packed(NamedTuple):
    """Samples as the page holds them."""

    json: str
    """For a script element: it holds no "<"."""
    samples: int
    """How many are in it."""


def ordered(reported: Reported) -> list[Facts]:
    """Failed, flipped and unparsed samples, then wrong ones, then the others; each in the order of the data.

    By a metric that knows no right and wrong, the others begin with the worst.
    """
    return sorted(reported.facts, key=lambda sample: (_rank(reported, sample), _badness(reported, sample)))


def _badness(reported: Reported, sample: Facts) -> float:
    score = sample.scores.get(reported.metric, math.nan)
    if reported.judged or not math.isfinite(score):
        return 0.0
    return score if reported.results.scores[reported.metric].higher_is_better else -score


def _rank(reported: Reported, sample: Facts) -> int:
    if sample.error is not None or sample.id in reported.flips or "unparsed" in sample.flags:
        return 0
    if not all(map(math.isfinite, sample.scores.values())):
        return 0
    return 1 if reported.outcome(sample) == "wrong" else 2


def packed(reported: Reported, *, full: bool) -> Packed:
    """The samples for the page: at most 2,000 of them, or all."""
    kept = ordered(reported)[: None if full else MOST_SAMPLES]
    place_of = {sample.id: place for place, sample in enumerate(kept)}
    views: list[dict[str, Any]] = [{}] * len(kept)
    for line in reported.run.lines():
        place = place_of.get(str(line["id"]))
        if place is not None:
            views[place] = view(line, most=None if full else MOST_CHARACTERS)
    paint(views)
    index = [_entry(reported, sample, seen) for sample, seen in zip(kept, views, strict=True)]
    content = {
        "together": TOGETHER,
        "shared": _compressed(share_beginnings(views)),
        "index": _compressed(index),
        "streams": [_compressed(views[start : start + TOGETHER]) for start in range(0, len(views), TOGETHER)],
    }
    return Packed(json.dumps(content, separators=(",", ":")), len(kept))


def share_beginnings(views: Sequence[MutableMapping[str, Any]]) -> dict[str, str]:
    """Take from the prompts what all of a subject begin with, whole lines of it, and give it by subject."""
    repeats: dict[str, list[dict[str, Any]]] = {}
    for seen in views:
        repeats.setdefault(seen.get("subset", ""), []).extend(seen["repeats"])
    shared = {}
    for subset, members in repeats.items():
        common = commonprefix([repeat["prompt"] for repeat in members])  # noqa: RUF071, characters are meant
        common = common[: common.rfind("\n") + 1]
        if len(common) >= LEAST_SHARED and len(members) > 1:
            shared[subset] = common
            for repeat in members:
                repeat["prompt"] = repeat["prompt"].removeprefix(common)
    return shared


def _compressed(value: Any) -> str:
    # ASCII, so that a text which is no valid Unicode is carried as it is.
    raw = json.dumps(spelled(value), separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(raw, 9)).decode()


def _entry(reported: Reported, sample: Facts, seen: Mapping[str, Any]) -> dict[str, Any]:
    """What the list says of a sample, and filters by."""
    entry: dict[str, Any] = {"id": sample.id, "outcome": reported.outcome(sample)}
    flags = [*sample.flags, *([reported.flips[sample.id]] if sample.id in reported.flips else ())]
    answer = None if seen["answer"] is None else seen["answer"].strip().split("\n", 1)[0]
    if answer is None and sample.choice is not None and sample.choice.chosen is not None:
        answer = seen["choices"][sample.choice.chosen][0]
    for name, value in (
        ("flags", flags),
        ("labels", [[label, badge_class(label)] for label in sample.labels]),
        ("subset", sample.subset),
        ("score", sample.scores.get(reported.metric)),
        ("answer", None if answer is None else answer[:SHORT]),
        ("target", " | ".join(seen["target"])[:SHORT]),
    ):
        if value not in (None, [], ""):
            entry[name] = value
    return entry


def view(line: Mapping[str, Any], *, most: int | None = None) -> dict[str, Any]:
    """What the page shows of a line of the journal.

    Args:
        most: characters of a text at most; None is all.
    """
    told: dict[str, Any] = {
        "id": str(line["id"]),
        "flags": line.get("flags") or [],
        "scores": line.get("scores") or {},
        "target": all_visible(_targets(line)),
        "answer": all_visible(answer_text(line.get("answer"))),
        "repeats": [_repeat(line, repeat, most) for repeat in line.get("repeats") or ()],
    }
    if line.get("subset"):
        told["subset"] = line["subset"]
    if line.get("error"):
        told["error"] = all_visible(line["error"])
    if choices := _choices(line):
        told["choices"] = all_visible(choices)
    elif line.get("log_likelihoods"):
        told["log_likelihoods"] = [_rounded(value) for value in line["log_likelihoods"]]
    return told


def _targets(line: Mapping[str, Any]) -> list[str]:
    target, choices = line.get("target"), line.get("choices")
    if (calls := target_text(target)) is not None:
        return [calls]
    several = target if isinstance(target, list) else [] if target is None else [target]
    return [
        choices[each] if choices and isinstance(each, int) and 0 <= each < len(choices) else str(each)
        for each in several
    ]


def _choices(line: Mapping[str, Any]) -> list[list[Any]]:
    """Of each choice its text, log-likelihood, whether it is the likeliest, and whether it is right."""
    choices, totals = line.get("choices") or (), [float(value) for value in line.get("log_likelihoods") or ()]
    target = line.get("target")
    right = target if isinstance(target, list) else [target]
    if len(totals) != len(choices):
        return [[choice, None, False, place in right or choice in right] for place, choice in enumerate(choices)]
    known = [total for total in totals if not math.isnan(total)]
    likeliest = totals.index(max(known)) if known else None
    return [
        [choice, _rounded(total), place == likeliest, place in right or choice in right]
        for place, (choice, total) in enumerate(zip(choices, totals, strict=True))
    ]


def _rounded(value: float) -> float:
    return round(float(value), 4)


def _repeat(line: Mapping[str, Any], repeat: Mapping[str, Any], most: int | None) -> dict[str, Any]:
    """The last call of a repeat, and what was read from it."""
    calls = repeat.get("calls") or ()
    last: Mapping[str, Any] = calls[-1] if calls else {}
    completions = last.get("completions") or ()
    texts = repeat.get("candidates") or []
    # Where several texts voted, the span is of one that the journal does not name.
    span = repeat.get("span") if len(texts or completions) == 1 else None
    seen: dict[str, Any] = {
        "calls": len(calls),
        "prompt": _shortened(last.get("prompt", ""), None, most)["text"],
        "outputs": [_completion(said, None if texts else span, most) for said in completions],
    }
    if texts:
        seen["parsed"] = [_shortened(each, span, most) for each in texts]
    if last.get("continuations") and len(last["continuations"]) == 1:
        seen["scored"] = _shortened(last["continuations"][0], None, most)["text"]
    for key in ("answer", "why", "votes", "scores"):
        if repeat.get(key) not in (None, {}):
            seen[key] = all_visible(answer_text(repeat[key]) if key == "answer" else repeat[key])
    for key in ("tokens", "cut"):
        if last.get(key):
            seen[key] = last[key]
    return {**seen, **evidence_of(line, repeat, most)}


def _completion(said: Mapping[str, Any], span: Sequence[int] | None, most: int | None) -> dict[str, Any]:
    seen = _shortened(said["text"], span, most)
    for key in ("finish_reason", "stop", "tokens"):
        if said.get(key) is not None:
            seen[key] = said[key]
    if said.get("reasoning"):
        seen["reasoning"] = _shortened(said["reasoning"], None, most)["text"]
    return seen


def _shortened(text: str, span: Sequence[int] | None, most: int | None) -> dict[str, Any]:
    """The text, its middle left out where it is too long, and the span in what is left; unseen characters spelled."""
    begin, end = span or (0, 0)
    before, marked, after = visible(text[:begin]), visible(text[begin:end]), visible(text[end:])
    text = before + marked + after
    span = [len(before), len(before) + len(marked)] if span else None
    if most is None or len(text) <= most:
        return {"text": text, "span": list(span)} if span else {"text": text}
    half = most // 2
    left_out = len(text) - 2 * half
    gap = f"\n[... {left_out:,} characters are left out here; --full embeds them ...]\n"
    seen: dict[str, Any] = {"text": text[:half] + gap + text[-half:]}
    if span and span[1] <= half:
        seen["span"] = list(span)
    elif span and span[0] >= len(text) - half:
        seen["span"] = [place - left_out + len(gap) for place in span]
    return seen
