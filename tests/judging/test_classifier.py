"""A checkpoint that is made here stands in for a published one: its weights are chosen, so its scores are known."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from evalharness.errors import DataError, ServiceError
from evalharness.judging.base import Bench, build_judges
from evalharness.judging.classifier import Classifier
from evalharness.types import Attempt, Reference, Sample, Verdict


def classifier(checkpoint: Path | str, **options: Any) -> Classifier:
    spec = {"judge": "classifier", "checkpoint": str(checkpoint), "label": "toxic", **options}
    (judge,) = build_judges([spec], "own.yaml: judging")
    assert isinstance(judge, Classifier)
    return judge


def verdicts(judge: Classifier, *texts: str) -> tuple[Verdict, ...]:
    attempt = Attempt(calls=(), candidates=texts)
    sample = Sample(id="1", index=0, row={}, content_hash="c")
    return asyncio.run(judge.verdicts(Bench(task="t", sample=sample, reference=Reference(), attempt=attempt)))


def test_scores_are_the_models_own_probabilities(checkpoint: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    texts = ("good day", "bad bad day", "")
    tokenizer, model = (cls.from_pretrained(checkpoint) for cls in (AutoTokenizer, AutoModelForSequenceClassification))
    with torch.no_grad():
        expected = [model.eval()(**tokenizer(text, return_tensors="pt")).logits[0].softmax(-1) for text in texts]
    found = verdicts(classifier(checkpoint), *texts)
    assert [verdict.details["score"] for verdict in found] == pytest.approx([float(each[1]) for each in expected])
    assert [verdict.label for verdict in found] == [["kind", "toxic"][int(each.argmax())] for each in expected]
    complement = verdicts(classifier(checkpoint, label="kind"), *texts)
    assert [one.details["score"] + other.details["score"] for one, other in zip(found, complement, strict=True)] == (
        pytest.approx([1.0] * 3)
    )


def test_labels_that_do_not_exclude_each_other_get_a_sigmoid_each(checkpoint: Path, tmp_path: Path) -> None:
    for path in checkpoint.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"problem_type": "multi_label_classification"}))
    toxic, kind = (verdicts(classifier(tmp_path, label=label), "bad day")[0] for label in ("toxic", "kind"))
    assert toxic.details["score"] + kind.details["score"] != pytest.approx(1.0)
    assert classifier(tmp_path).fingerprint != classifier(checkpoint).fingerprint


def test_the_verdict_names_checkpoint_label_and_fingerprint(checkpoint: Path) -> None:
    judge = classifier(checkpoint)
    (verdict,) = verdicts(judge, "good")
    assert judge.fingerprint is not None
    assert verdict.details["classifier"] == str(checkpoint)
    assert (verdict.details["of"], verdict.details["fingerprint"]) == ("toxic", judge.fingerprint[:12])


def test_a_long_text_is_cut(checkpoint: Path) -> None:
    judge = classifier(checkpoint, max_tokens=8)
    (long, longer) = verdicts(judge, "good " * 6, "good " * 600)
    assert long.details["score"] == pytest.approx(longer.details["score"])


def test_what_is_no_classifier_and_has_no_such_label_is_told(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"judging\[0\].label: .* has no label 'rude'; it has kind, toxic"):
        verdicts(classifier(checkpoint, label="rude"), "a")
    with pytest.raises(ServiceError, match=r"judging\[0\].checkpoint: .* cannot be loaded as a text classifier"):
        verdicts(classifier(tmp_path), "a")
