import pytest

from evalharness.errors import DataError
from evalharness.registry import names
from evalharness.scoring.base import Metric, build_metrics

PAIRS = {"likelier_share", "stereotype_score"}
"""Cannot do without an option of theirs."""


def every_metric() -> tuple[Metric, ...]:
    return build_metrics(
        [{"metric": name, **({"pairs": [[0, 1]]} if name in PAIRS else {})} for name in names("metric")], "metrics"
    )


def test_every_registered_metric_is_built_by_its_name() -> None:
    metrics = every_metric()
    assert [metric.metric for metric in metrics] == names("metric")
    assert all(isinstance(metric, Metric) for metric in metrics)


def test_losses_are_better_low() -> None:
    lower = {metric.name for metric in every_metric() if not metric.higher_is_better}
    assert lower == {
        "accuracy_gap",
        "api_hallucination",
        "bad_calls",
        "bias_score",
        "bits_per_byte",
        "byte_perplexity",
        "failed_actions",
        "first_position_rate",
        "judge_score",
        "likelihood_diff",
        "pct_stereotype",
        "perplexity",
        "self_check",
        "steps",
        "stereotype_score",
        "ter",
        "tool_uses",
        "unanswered",
        "verdict_share",
        "word_perplexity",
    }


def test_labels_and_options() -> None:
    strict, loose = build_metrics(
        [
            {"metric": "exact_match", "label": "strict"},
            {"metric": "exact_match", "ignore_case": True, "answer": {"parser": "span"}},
        ],
        "metrics",
    )
    assert (strict.name, loose.name) == ("strict", "exact_match")
    assert loose.answer == {"parser": "span"}
    assert build_metrics([loose.model_dump()], "metrics") == (loose,)


@pytest.mark.parametrize(
    ("specs", "sentence"),
    [
        ([], "metrics: the list is empty; name at least one metric."),
        (["exact_mach"], "metrics[0]: unknown metric 'exact_mach'; did you mean 'exact_match'?"),
        (
            ["acc", {"metric": "f1", "ignore": 1}],
            "metrics[1]: ignore: unknown key; known: answer, label, metric, reducer, where.",
        ),
        (["acc", "acc"], "metrics: two metrics are shown as 'acc'; give one of them a label of its own."),
        ([{"label": "x"}], "metrics[0]: the key 'metric' with the name of a metric is missing."),
    ],
)
def test_wrong_metrics_are_refused_in_a_sentence(specs: list[object], sentence: str) -> None:
    with pytest.raises(DataError) as error:
        build_metrics(specs, "metrics")  # type: ignore[arg-type]
    assert str(error.value) == sentence
