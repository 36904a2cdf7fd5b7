"""`--adapter` for models of the stack: a LoRA adapter of PEFT's, merged as the model is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from backends import tiny_models
from backends.tickets import answer, generate, score

from evalharness.backends import stack
from evalharness.errors import DataError, UsageError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.write("llama", tmp_path_factory.mktemp("model") / "llama")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With numbers in B as well."""
    peft = pytest.importorskip("peft", reason="peft is not installed")
    folder = tmp_path_factory.mktemp("adapter") / "tuned"
    torch.manual_seed(1)
    config = peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    peft.get_peft_model(tiny_models.model("llama"), config).save_pretrained(folder)
    return folder


def test_it_changes_scores_and_texts_as_in_peft(model: Path, adapter: Path) -> None:
    from evalharness.backends import transformers

    plain, ours = stack.load(str(model)), stack.load(str(model), adapter=str(adapter))
    theirs = transformers.load(str(model), device="cpu", adapter=str(adapter))
    ids = [5, 9, 30, 41, 7, 7, 120, 3, 66]
    without, found, expected = ([score(ids, 3), generate(ids[:5], max_tokens=12)] for _ in range(3))
    for backend, asked in ((plain, without), (ours, found), (theirs, expected)):
        answer(backend, asked)
    before, here, there = (asked[0].likelihood.log_likelihoods for asked in (without, found, expected))
    assert here == pytest.approx(there, abs=1e-5)
    assert here != pytest.approx(before, abs=1e-2)
    assert found[1].texts[0].ids == expected[1].texts[0].ids


def test_the_record_says_so(model: Path, adapter: Path) -> None:
    plain, adapted = stack.load(str(model)), stack.load(str(model), adapter=str(adapter))
    assert adapted.info.name == "llama + tuned (F32)"
    assert adapted.info.details == plain.info.details | {"adapter": "tuned"}
    assert "adapter" not in plain.info.details
    assert adapted.info.fingerprint != plain.info.fingerprint
    assert stack.load(str(model), adapter=str(adapter)).info.fingerprint == adapted.info.fingerprint


def test_it_is_merged_into_a_folder(model: Path, adapter: Path, tmp_path: Path) -> None:
    stack.convert(str(model), tmp_path / "merged", adapter=str(adapter))
    found, expected = score([5, 9, 30, 41, 7], 1), score([5, 9, 30, 41, 7], 1)
    answer(stack.load(str(tmp_path / "merged")), [found])
    answer(stack.load(str(model), adapter=str(adapter)), [expected])
    assert found.likelihood == expected.likelihood


def test_what_is_refused(model: Path, adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"--adapter nowhere: no adapter_config\.json there; give a folder that peft has"
    ):
        stack.load(str(model), adapter="nowhere")
    with pytest.raises(UsageError, match="this is an adapter; name its model, and add --adapter"):
        stack.load(str(adapter))
    with pytest.raises(UsageError, match="--adapter nowhere"):
        stack.convert(str(model), tmp_path / "merged", adapter="nowhere")
    config = json.loads((adapter / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | {"peft_type": "IA3"}))
    with pytest.raises(DataError, match="adapters of the kind 'IA3' are not covered; LoRA is"):
        stack.load(str(model), adapter=str(tmp_path))
    other = tiny_models.write("gpt2", tmp_path / "gpt2")
    with pytest.raises(DataError, match="the model has no such linear layer; it is another model's adapter"):
        stack.load(str(other), adapter=str(adapter)).warm()
