"""Which API of a data base a line of code calls."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evalharness.answers.base import build_parser
from evalharness.errors import DataError
from evalharness.scoring.apply import Scorer
from evalharness.scoring.base import build_metrics
from evalharness.types import Attempt, Reference

pytest.importorskip("tree_sitter_python", reason="needs pip install 'evalharness[code]'")

from evalharness.scoring.function_calls.apis import Library, apis, by_calls, by_gorilla

HUB = (
    ("torch.hub.load(repo_or_dir='example/birds', model='heron', pretrained=True)", "birds"),
    ("torch.hub.load(repo_or_dir='example/birds', model='heron_large', pretrained=True)", "birds"),
    ("torch.hub.load(repo_or_dir='example/streets', model='masks')", "streets"),
)
FACES = (
    ("AutoModel.from_pretrained('example/notes')", "notes"),
    ("pipeline('summarization', model='example/brief')", "summaries"),
    ("AutoModel.from_pretrained('example/notes')", "other notes"),
    ("Reader(example/voices)", "voices"),
    ("model_name", "nothing"),
)


def _domains(code: str, entries: Any, library: Library, matching: str) -> list[str]:
    database = apis(entries, library)
    if matching == "strict":
        return [api.domain for api in by_calls(code, database)]
    found = by_gorilla(code, database)
    return [] if found is None else [found.domain]


@pytest.mark.parametrize(
    ("code", "gorilla", "strict"),
    [
        ("torch.hub.load('example/streets', 'masks', pretrained=True)", ["streets"], ["streets"]),
        ("model = torch.hub.load(repo_or_dir='example/streets:v2', model='masks')", ["streets"], ["streets"]),
        ('torch.hub.load("example/streets",\n  "masks")', ["streets"], ["streets"]),
        ("torch.hub.load('example/streets', 'masks_tiny')", ["streets"], []),
        ("torch.hub.load('my/example/streets', 'masks')", ["streets"], []),
        ("x = 'example/streets masks'", ["streets"], []),
        ("torch.load('example/streets', 'masks')", [], []),
        ("torch.hub.load('example/unknown', 'masks')", [], []),
        ("I would not know.", [], []),
        ("", [], []),
    ],
)
def test_torch_hub(code: str, gorilla: list[str], strict: list[str]) -> None:
    assert _domains(code, HUB, "torchhub", "gorilla") == gorilla
    assert _domains(code, HUB, "torchhub", "strict") == strict


@pytest.mark.parametrize(
    ("code", "gorilla", "strict"),
    [
        ("AutoModel.from_pretrained('example/notes')", ["notes"], ["notes", "other notes"]),
        ('AutoModel.from_pretrained(\\"example/notes\\")', ["notes"], ["notes", "other notes"]),
        ("AutoModel.from_pretrained('example/notes-large')", ["notes"], []),
        ("pipeline(task='summarization', model='example/brief')", ["summaries"], ["summaries"]),
        ("pipeline('summarization')", [], []),
        ("Reader('example/voices')", ["voices"], ["voices"]),
    ],
)
def test_hugging_face(code: str, gorilla: list[str], strict: list[str]) -> None:
    assert _domains(code, FACES, "huggingface", "gorilla") == gorilla
    assert _domains(code, FACES, "huggingface", "strict") == strict


# --------------------------------------------------------------------------- the metrics


def _scores(text: str, entries: Any = HUB, domain: str = "streets", **options: str) -> list[tuple[float, str | None]]:
    metrics = build_metrics(
        [{"metric": name, "library": "torchhub", **options} for name in ("api_call", "api_hallucination")], "metrics"
    )
    scorer = Scorer(build_parser({"parser": "api_call", "otherwise": "nothing"}, "answer"), metrics)
    target = json.dumps({"domain": domain, "apis": entries})
    scored = scorer.score(Attempt(calls=(), candidates=(text,)), Reference(target=target)).scores
    return [(score.value, score.explanation) for score in scored.values()]


def test_right_wrong_and_invented() -> None:
    call = "<<<api_call>>>: torch.hub.load('example/{}', '{}'), <<<api_provider>>>: PyTorch"
    assert _scores(call.format("streets", "masks")) == [(1.0, None), (0.0, None)]
    (accuracy, why), (hallucination, _) = _scores(call.format("birds", "heron"))
    assert (accuracy, hallucination) == (0.0, 0.0)
    assert str(why).startswith("wrong_domain: \"torch.hub.load(repo_or_dir='example/birds'")
    (accuracy, why), (hallucination, same) = _scores(call.format("owls", "owl"))
    assert (accuracy, hallucination) == (0.0, 1.0)
    assert why == same
    assert str(why).startswith("unknown_api: no API of the data base is called in ")


def test_what_calls_nothing() -> None:
    assert _scores("I cannot.") == [(0.0, "no call: 'api_call' is not in the text"), (0.0, None)]
    (_, why), (hallucination, _) = _scores("<<<api_call>>>: none at all)")
    assert (str(why).partition(":")[0], hallucination) == ("no call", 0.0)
    (_, _), (hallucination, _) = _scores("<<<api_call>>>: none at all)", matching="gorilla")
    assert hallucination == 1.0


def test_a_target_of_another_task_is_refused() -> None:
    (metric,) = build_metrics([{"metric": "api_call", "library": "torchhub"}], "metrics")
    scorer = Scorer(build_parser("api_call", "answer"), [metric])
    for wrong in ("42", '{"domain": "x"}', '{"domain": "x", "apis": [[1]]}'):
        with pytest.raises(DataError, match="does not say what API is right"):
            scorer.score(Attempt(calls=(), candidates=("f()",)), Reference(target=wrong))


def test_a_table_that_is_not_at_hand() -> None:
    with pytest.raises(DataError, match="the table 000000000000 is not in the cache"):
        _scores("<<<api_call>>>: f()", entries="0" * 64)
