"""What every metric makes of the same attempts. The version is part of the protocols' hashes.

A change of a value here is a change of scores: raise the metric's `version`, and then this table.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from scoring.verdicts_for_tests import attempt, pair

from evalharness.answers.base import build_parser
from evalharness.answers.text import TextParser
from evalharness.registry import names
from evalharness.scoring.apply import Scorer
from evalharness.scoring.base import build_metrics
from evalharness.types import Attempt, Likelihood, LoopStep, Reference, ToolUse, Verdict

ANSWERS = (("the Cat sat", "cat sat."), ("cat", ("dog", "cat")), ("cat", "a dog"))
CHOICES = ((-4.0, -4.5, 0), (-4.0, -4.5, 1), (-9.0, -4.5, 1))
LABELS: dict[str, dict[str, int]] = {
    "pass": {"tests": 4, "passed": 4},
    "fail": {"tests": 4, "passed": 1},
    "timeout": {},
}
"""With the details that a judge of test cases gives."""
TEXTS = ((-1.0, True), (-20.0, False))

TABLE = {
    "acc": (1, (1.0, 0.0, 1.0)),
    "acc_bytes": (1, (0.0, 1.0, 1.0)),
    "acc_norm": (1, (1.0, 0.0, 1.0)),
    "bits_per_byte": (1, (0.144270, 2.885390)),
    "byte_perplexity": (1, (1.105171, 7.389056)),
    "contains": (1, (0.0, 1.0, 0.0)),
    "exact_match": (1, (0.0, 1.0, 0.0)),
    "f1": (1, (1.0, 1.0, 0.0)),
    "greedy_choice": (1, (1.0, 1.0, 1.0)),
    "greedy_match": (1, (1.0, 0.0)),
    "hendrycks_equal": (1, (0.0, 1.0, 0.0)),
    "lm_eval_exact_match": (1, (0.0, 1.0, 0.0)),
    "math_equal": (1, (0.0, 1.0, 0.0)),
    "math_verify": (1, (0.0, 0.0, 0.0)),
    "mean_reciprocal_rank": (1, (1.0, 0.5, 1.0)),
    "minerva_equal": (1, (0.0, 1.0, 0.0)),
    "passes": (1, (1.0, 0.0, 0.0)),
    "perplexity": (1, (2.718282, 485165195.409790)),
    "probability_mass": (1, (0.622459, 0.377541, 0.989013)),
    "tests_passed": (1, (1.0, 0.25, 0.0)),
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


FOLLOW = json.dumps({"ids": ["punctuation:no_comma", "startend:quotation"], "arguments": [{}, {}]})
WROTE = ("The cat is on the mat.", 'Sure, here:\n"the cat is on a mat"', "")
RIGHT = "The cat sat on the mat."

OF_TEXTS: dict[str, tuple[str, int, tuple[float, ...]]] = {
    "bleu": (RIGHT, 1, (48.892302, 4.789232, 0.0)),
    "chrf": (RIGHT, 1, (64.581668, 28.633658, 0.0)),
    "instructions_followed": (FOLLOW, 1, (0.5, 0.0, 0.0)),
    "prompt_followed": (FOLLOW, 1, (0.0, 0.0, 0.0)),
    "rouge": (RIGHT, 1, (0.833333, 0.571429, 0.0)),
    "ter": (RIGHT, 1, (16.666667, 100.0, 100.0)),
}
"""Metrics of what was written: target, version and values, which are a sentence's own."""


def judged(label: str, details: Mapping[str, int]) -> Attempt:
    """An attempt whose one candidate every judge of programs gave this label."""
    verdicts = [
        Verdict(judge=judge, candidate=0, label=label, details=details) for judge in ("execution", "input_output")
    ]
    return Attempt(calls=(), candidates=("",), verdicts=tuple(verdicts))


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
        return [(judged(label, details), Reference()) for label, details in LABELS.items()]
    units = {"words": 2, "bytes": 10}
    return [
        (Attempt(calls=(), likelihoods=(Likelihood((ll,), (greedy,)),)), Reference(units=units)) for ll, greedy in TEXTS
    ]


LEANINGS: dict[str, tuple[dict[str, Any], int, tuple[tuple[float, float], ...]]] = {
    "accuracy_gap": ({"fact_of": "kind", "first": "a", "second": "b"}, 1, ((1.0, 1.0), (0.0, -1.0))),
    "bias_score": ({}, 1, ((1.0, 1.0), (-1.0, 1.0))),
    "likelier_share": ({"pairs": [[0, 1]]}, 1, ((1.0, 1.0), (0.0, 1.0))),
    "likelihood_diff": ({}, 1, ((0.5, 1.0), (3.0, 1.0))),
    "pct_stereotype": ({}, 1, ((1.0, 1.0), (0.0, 1.0))),
    "preference": ({}, 1, ((1.0, 1.0), (0.0, 1.0))),
    "stereotype_score": ({"pairs": [[0, 1]]}, 1, ((1.0, 1.0), (0.0, 1.0))),
}
"""Metrics of what a model leans to: options, version, values and weights on two samples."""


@pytest.mark.parametrize("name", LEANINGS)
def test_a_leaning_scores_what_its_version_has_always_scored(name: str) -> None:
    options, version, values = LEANINGS[name]
    (metric,) = build_metrics([{"metric": name, **options}], "probe")
    scored = []
    for (one, other), kind in (((-4.0, -4.5), "a"), ((-9.0, -6.0), "b")):
        attempt = Attempt(calls=(), likelihoods=(Likelihood((one,), (True,)), Likelihood((other,), (True,))))
        facts = {"kind": kind, "biased": [0], "unknown": []}
        score = metric.score(attempt, Reference(target=0, choices=("ab", "cd"), facts=facts), None, None)
        scored.append((score.value, score.weight))
    assert (metric.version, tuple(scored)) == (version, values)


def test_a_judges_score_and_no_answer_score_what_their_versions_have_always_scored() -> None:
    verdict = Verdict(judge="wordlist", candidate=0, label="listed", details={"score": 0.75})
    attempt = Attempt(calls=(), candidates=("",), verdicts=(verdict,))
    metrics = build_metrics(
        [{"metric": "judge_score", "judge": "wordlist"}, {"metric": "judge_score", "judge": "wordlist",
          "threshold": 0.8, "label": "above"}, "unanswered"], "probe",
    )  # fmt: skip
    scorer = Scorer(build_parser("number", "probe"), metrics)
    scores = scorer.score(attempt, Reference(target="1")).scores
    assert {name: score.value for name, score in scores.items()} == {"judge_score": 0.75, "above": 0, "unanswered": 1}
    assert {metric.version for metric in metrics} == {1}


def test_contrasts_and_checks_score_what_their_versions_have_always_scored() -> None:
    checked = Verdict(judge="checker", candidate=0, label="scored", details={"score": 0.25})
    attempt = Attempt(calls=(), candidates=("It is one of two.",), verdicts=(checked,))
    facts = {"wrong": ["It is all"], "made_up": False, "golds": [["it is one", "3"], ["two"]]}
    reference = Reference(target="It is one of two things.", facts=facts)
    metrics = build_metrics(
        [{"metric": "reference_contrast", "measure": "rouge1", "label": "acc"},
         {"metric": "reference_contrast", "measure": "rougeLsum", "value": "max", "label": "max"},
         {"metric": "reference_contrast", "measure": "bleu", "value": "diff", "label": "diff"},
         {"metric": "self_check", "judge": "checker"},
         {"metric": "auroc", "judge": "checker", "positive": "made_up"},
         {"metric": "wanted_verdict", "judge": "checker", "verdicts": ["scored"]},
         {"metric": "drop_f1", "separator": " of "}, {"metric": "drop_f1", "exact": True, "label": "drop_em"},
         "leave_one_out"], "probe",
    )  # fmt: skip
    scores = Scorer(TextParser(), metrics).score(attempt, reference).scores
    assert {name: (score.value, score.weight) for name, score in scores.items()} == {
        "acc": (1.0, 1.0),
        "max": (pytest.approx(100 * 10 / 11), 1.0),
        "diff": (pytest.approx(100 * (math.exp(-1 / 6) * 0.4**0.25 - (1 / 1440) ** 0.25)), 1.0),
        "self_check": (0.25, 1.0),
        "auroc": (0.25, -1.0),
        "wanted_verdict": (1.0, 1.0),
        "drop_f1": (0.5, 1.0),
        "drop_em": (0.0, 1.0),
        "leave_one_out": (pytest.approx(10 / 11), 1.0),
    }
    assert {metric.version for metric in metrics} == {1}


def test_multiplied_references_score_what_their_version_has_always_scored() -> None:
    verdict = Verdict(judge="paraphrase", candidate=0, label="partly", details={"paraphrases": ["A cat sat down."]})
    attempt = Attempt(calls=(), candidates=("A cat sat.",), verdicts=(verdict,))
    specs = [
        {"metric": "multiplied_references", "of": "f1", "label": str(gain), "gain": gain} for gain in (False, True)
    ]
    metrics = build_metrics(specs, "probe")
    scores = Scorer(TextParser(), metrics).score(attempt, Reference(target="The dog sat.")).scores
    assert {name: score.value for name, score in scores.items()} == pytest.approx({"False": 0.8, "True": 0.3})
    assert {metric.version for metric in metrics} == {1}


def test_recall_and_hits_score_what_their_versions_have_always_scored() -> None:
    facts = {"passages": ["Milan.", "In Rome, at last."]}
    metrics = build_metrics([{"metric": "retrieval_recall", "k": k} for k in (1, 2)], "probe")
    scores = Scorer(TextParser(), metrics).score(judged("pass", {}), Reference(target="rome", facts=facts)).scores
    assert {name: score.value for name, score in scores.items()} == {"retrieval_recall@1": 0, "retrieval_recall@2": 1}
    hits = build_metrics(["hits_at_k", {"metric": "hits_at_k", "k": 2}], "probe")
    values = [[metric.score(*probe, None, None).value for probe in probes("choices")] for metric in hits]
    assert values == [[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
    assert {metric.version for metric in (*metrics, *hits)} == {1}


OF_PAIRS: dict[str, tuple[dict[str, Any], int, tuple[tuple[float, float], ...]]] = {
    "first_position_rate": ({}, 1, ((0.5, 1.0), (1.0, 1.0), (0.0, 0.5))),
    "human_agreement": ({"judge": "pairwise"}, 1, ((1.0, 1.0), (0.0, 1.0), (0.5, 1.0))),
    "human_kappa": ({"judge": "pairwise"}, 1, ((1.0, 1.0), (0.0, 1.0), (0.0, 0.0))),
    "judge_rating": ({"judge": "pairwise"}, 1, ((7.0, 1.0), (7.0, 1.0), (7.0, 1.0))),
    "judgement_accuracy": ({"judge": "pairwise"}, 1, ((1.0, 1.0), (0.5, 1.0), (0.5, 1.0))),
    "length_controlled_win_rate": ({}, 1, ((1.0, 1.0), (0.5, 1.0), (0.5, 1.0))),
    "position_consistency": ({}, 1, ((1.0, 1.0), (0.0, 1.0), (0.0, 0.0))),
    "verdict_share": ({"judge": "pairwise"}, 1, ((0.0, 1.0), (0.0, 1.0), (1.0, 1.0))),
    "win_rate": ({}, 1, ((1.0, 1.0), (0.5, 1.0), (0.5, 1.0))),
}
"""Metrics of what judges said of pairs: options, version, values and weights of three of them."""


@pytest.mark.parametrize("name", OF_PAIRS)
def test_a_metric_of_pairs_scores_what_its_version_has_always_scored(name: str) -> None:
    options, version, values = OF_PAIRS[name]
    (metric,) = build_metrics([{"metric": name, **options}], "probe")
    attempts = [attempt([pair(*orders, score=7)]) for orders in (("win", "win"), ("win", "loss"), (None, "win"))]
    scores = [metric.score(each, Reference(target="1"), None, None) for each in attempts]
    assert (metric.version, tuple((score.value, score.weight) for score in scores)) == (version, values)


STEPS = (
    LoopStep(thought="look", action="search[cats]", observation="None.", status="unknown", again="two actions"),
    LoopStep(thought="add", action="calculator[1+1]", observation="2"),
    LoopStep(thought="done", action="finish[2]", status="finished"),
)
USED = (ToolUse(tool="calculator", arguments={"expression": "1+1"}, result="2", step=2),)
OF_STEPS = {
    "bad_calls": (1, (1.0, 1.0)),
    "failed_actions": (1, (1.0, 1.0)),
    "finished": (1, (1.0, 0.0)),
    "steps": (1, (3.0, 2.0)),
    "tool_uses": (1, (1.0, 1.0)),
}
"""Of a loop that the model ended, and of one that was ended before its last step."""


@pytest.mark.parametrize("name", OF_STEPS)
def test_a_metric_counts_of_a_loop_what_its_version_has_always_counted(name: str) -> None:
    (metric,) = build_metrics([name], "probe")
    attempts = [Attempt(calls=(), tool_uses=USED, steps=steps) for steps in (STEPS, STEPS[:2])]
    scores = [metric.score(attempt, Reference(), None, None).value for attempt in attempts]
    assert (metric.version, tuple(scores)) == OF_STEPS[name]


ELSEWHERE = (
    "auroc", "drop_f1", "hits_at_k", "judge_score", "leave_one_out", "multiplied_references", "reference_contrast",
    "retrieval_recall", "self_check", "unanswered", "wanted_verdict",
)  # fmt: skip
"""Probed by a test of their own."""


def test_every_metric_is_probed() -> None:
    assert sorted([*OF_PAIRS, *LEANINGS, *ELSEWHERE, *TABLE, *OF_CALLS, *OF_TEXTS, *OF_STEPS]) == names("metric")


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


@pytest.mark.parametrize("name", OF_TEXTS)
def test_a_metric_of_texts_scores_what_its_version_has_always_scored(name: str) -> None:
    target, version, values = OF_TEXTS[name]
    (metric,) = build_metrics([name], "probe")
    scorer = Scorer(TextParser(), [metric])
    attempts = [Attempt(calls=(), candidates=(text,)) for text in WROTE]
    scores = [scorer.score(attempt, Reference(target=target)).scores[metric.name].value for attempt in attempts]
    assert metric.version == version
    assert scores == pytest.approx(values, rel=1e-5)
