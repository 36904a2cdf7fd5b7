"""What every metric makes of the same attempts. The version is part of the protocols' hashes.

A change of a value here is a change of scores: raise the metric's `version`, and then this table.
"""

import json
from typing import Any

import pytest

from evalharness.answers.base import build_parser
from evalharness.answers.text import TextParser
from evalharness.registry import names
from evalharness.scoring.apply import Scorer
from evalharness.scoring.base import build_metrics
from evalharness.types import Attempt, Likelihood, Reference, Verdict

ANSWERS = (("the Cat sat", "cat sat."), ("cat", ("dog", "cat")), ("cat", "a dog"))
CHOICES = ((-4.0, -4.5, 0), (-4.0, -4.5, 1), (-9.0, -4.5, 1))
LABELS = ("pass", "fail", "timeout")
TEXTS = ((-1.0, True), (-20.0, False))

TABLE = {
    "acc": (1, (1.0, 0.0, 1.0)),
    "acc_bytes": (1, (0.0, 1.0, 1.0)),
    "acc_norm": (1, (1.0, 0.0, 1.0)),
    "bits_per_byte": (1, (0.144270, 2.885390)),
    "byte_perplexity": (1, (1.105171, 7.389056)),
    "exact_match": (1, (0.0, 1.0, 0.0)),
    "f1": (1, (1.0, 1.0, 0.0)),
    "greedy_choice": (1, (1.0, 1.0, 1.0)),
    "greedy_match": (1, (1.0, 0.0)),
    "lm_eval_exact_match": (1, (0.0, 1.0, 0.0)),
    "passes": (1, (1.0, 0.0, 0.0)),
    "perplexity": (1, (2.718282, 485165195.409790)),
    "probability_mass": (1, (0.622459, 0.377541, 0.989013)),
    "word_perplexity": (1, (1.648721, 22026.465795)),
}


ADD = {"name": "math.add", "parameters": {"properties": {"a": {"type": "integer"}}, "required": ["a"]}}
TRUTH = json.dumps({"functions": [ADD], "ground_truth": [{"math.add": {"a": [1]}}]})
APIS = json.dumps({"domain": "sums", "apis": [["lib.load('add', fast=True)", "sums"], ["lib.load('mul')", "products"]]})
CALLS = ("[math.add(a=1)]", "[math.add(a='1')]", "math_add(a=1)", "I cannot.", "[math.add(a=1), math.add(a=1)]")
CODES = ("lib.load('add')", "lib.load('mul')", "lib.load('added')", "lib.store('add')", "I cannot.")

OF_CALLS: dict[str, tuple[dict[str, Any], str, tuple[str, ...], int, tuple[float, ...]]] = {
    "any_call": ({}, TRUTH, CALLS, 1, (1.0, 1.0, 1.0, 0.0, 1.0)),
    "function_call": ({}, TRUTH, CALLS, 1, (1.0, 0.0, 0.0, 0.0, 0.0)),
    "no_call": ({}, TRUTH, CALLS, 1, (0.0, 0.0, 0.0, 1.0, 0.0)),
    "api_call": ({"library": "huggingface"}, APIS, CODES, 1, (1.0, 0.0, 0.0, 0.0, 0.0)),
    "api_hallucination": ({"library": "huggingface"}, APIS, CODES, 1, (0.0, 0.0, 1.0, 1.0, 0.0)),
}
"""Metrics of calls: options, target, what was said, version and values."""


def judged(judge: str, *labels: str) -> Attempt:
    """An attempt whose candidates the judge gave these labels."""
    return Attempt(
        calls=(),
        candidates=("",) * len(labels),
        verdicts=tuple(Verdict(judge=judge, candidate=n, label=label) for n, label in enumerate(labels)),
    )


def probes(needs: str) -> list[tuple[Attempt, Reference]]:
    if needs == "answer":
        return [(Attempt(calls=(), candidates=(said,)), Reference(target=target)) for said, target in ANSWERS]
    if needs == "choices":
        return [
            (
                Attempt(calls=(), likelihoods=(Likelihood((one,), (True,)), Likelihood((other,), (True,)))),
                Reference(target=gold, choices=("ab", "éé")),
            )
            for one, other, gold in CHOICES
        ]
    if needs == "verdict":
        return [(judged("execution", label), Reference()) for label in LABELS]
    units = {"words": 2, "bytes": 10}
    return [
        (Attempt(calls=(), likelihoods=(Likelihood((ll,), (greedy,)),)), Reference(units=units)) for ll, greedy in TEXTS
    ]


def test_every_metric_is_probed() -> None:
    assert sorted([*TABLE, *OF_CALLS]) == names("metric")


@pytest.mark.parametrize("name", TABLE)
def test_a_metric_scores_what_its_version_has_always_scored(name: str) -> None:
    (metric,) = build_metrics([name], "probe")
    scorer = Scorer(TextParser(), [metric])
    version, values = TABLE[name]
    scores = [scorer.score(attempt, reference).scores[name].value for attempt, reference in probes(metric.needs)]
    assert metric.version == version
    assert scores == pytest.approx(values, rel=1e-5)


@pytest.mark.parametrize("name", OF_CALLS)
def test_a_metric_of_calls_scores_what_its_version_has_always_scored(name: str) -> None:
    options, target, said, version, values = OF_CALLS[name]
    (metric,) = build_metrics([{"metric": name, **options}], "probe")
    scorer = Scorer(build_parser("api_call" if name.startswith("api") else "function_call", "probe"), [metric])
    attempts = [Attempt(calls=(), candidates=(text,)) for text in said]
    scores = [scorer.score(attempt, Reference(target=target)).scores[name].value for attempt in attempts]
    assert (metric.version, tuple(scores)) == (version, values)
