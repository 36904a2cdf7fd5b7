"""Objectives that denoise, from packed sequences to batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.training.test_objectives import END, seen, sequence
from stack.training.tiny_pretraining import FakeEvaluator, log_of, losses, options, values, weights

from evalharness.errors import DataError
from evalharness.options import parse_options
from evalharness.stack.checkpoints.load import open_checkpoint
from evalharness.stack.corpus.packing import Packed
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.denoisers import Denoising, SpanDenoisingOptions, UL2Options, special_tokens
from evalharness.stack.training.objectives import ObjectiveOptions
from evalharness.stack.training.options import PretrainOptions
from evalharness.stack.training.pretrain import pretrain

FIRST = 500
"""The id of the first sentinel."""


def denoising(seed: int = 3, **options: Any) -> Denoising:
    kind = UL2Options if options.get("name") == "ul2" else SpanDenoisingOptions
    made = kind.model_validate(options)
    return Denoising(made, {text: FIRST + number for number, text in enumerate(special_tokens(made))}, seed)


def rebuilt(inputs: list[int], targets: list[int], sentinels: int = 100) -> list[int]:
    """The document of an example, without its mode."""
    if inputs[0] >= FIRST + sentinels:
        inputs = inputs[1:]
    said: dict[int, list[int]] = {}
    for token in targets:
        if token >= FIRST:
            said[token] = []
        elif said:
            said[max(said)].append(token)
    if not said:
        return inputs + targets
    return [part for token in inputs for part in said.get(token, [token])]


SHORT = sequence([1, 2, 3, 4], [5, 6], padding=1)
"""Of so short documents the end is taken out, whatever is drawn."""


def test_a_golden_batch() -> None:
    golden = denoising(rate=0.5, span=2).batch([SHORT], [0])
    s = FIRST
    assert golden.inputs_BT.tolist() == [[1, 2, s, s, 3, 4, 5, s, s, 6]]
    assert golden.targets_BT.tolist() == [[2, s, s, 3, 4, 5, s, s, 6, 0]]
    assert golden.weights_BT.tolist() == [[0, 0, 1, 1, 1, 0, 0, 1, 1, 0]]
    assert golden.positions.tolist() == [[0, 1, 2, 3, 4, 5, 0, 1, 2, 3]]
    assert golden.documents_BT is not None
    assert golden.documents_BT.tolist() == [[0] * 6 + [1] * 4]
    assert golden.prefix_BT is not None
    assert golden.prefix_BT.int().tolist() == [[1, 1, 1, 0, 0, 0, 1, 1, 0, 0]]
    assert seen(golden)[0] == [
        "xxx.......",
        "xxx.......",
        "xxx.......",
        "xxxx......",
        "xxxxx.....",
        "xxxxxx....",
        "......xx..",
        "......xx..",
        "......xxx.",
        "......xxxx",
    ]


def test_a_causal_batch_has_no_prefix() -> None:
    golden = denoising(rate=0.5, span=2, attention="causal").batch([SHORT], [0])
    assert golden.prefix_BT is None
    assert golden.weights_BT.tolist() == [[0, 0, 1, 1, 1, 0, 0, 1, 1, 0]]
    assert seen(golden)[0][0] == "x........."


def test_a_golden_batch_of_a_mixture() -> None:
    """A sentence about the sequential denoiser, one about the regular one; each begins with its mode."""
    one = [{"mode": "[S]", "rate": 0.25}]
    golden = denoising(name="ul2", denoisers=one, sentinels=1).batch([sequence([1, 2, 3, 4])], [0])
    mode = FIRST + 1
    assert golden.inputs_BT.tolist() == [[mode, 1, 2, 3]]
    assert golden.targets_BT.tolist() == [[1, 2, 3, 4]]
    assert golden.weights_BT.tolist() == [[0, 0, 0, 1]]
    other = [{"mode": "[R]", "rate": 0.25, "span": 3}]
    golden = denoising(name="ul2", denoisers=other, sentinels=1).batch([sequence([1, 2, 3, 4])], [0])
    assert golden.inputs_BT.tolist() == [[mode, 1, 2, 3, FIRST, FIRST]]
    assert golden.targets_BT.tolist() == [[1, 2, 3, FIRST, FIRST, 4]]
    assert golden.weights_BT.tolist() == [[0, 0, 0, 0, 1, 1]]


packings = st.lists(st.integers(1, 40), min_size=1, max_size=6)


@settings(max_examples=40)
@given(packings, st.integers(0, 5), st.integers(0, 50), st.sampled_from(["span_denoising", "ul2"]))
def test_each_document_is_an_example_of_its_own(sizes: list[int], padding: int, place: int, name: str) -> None:
    documents = [list(range(10 * number, 10 * number + size)) for number, size in enumerate(sizes)]
    examples = denoising(name=name).examples(sequence(*documents, padding=padding), place)
    assert len(examples) == len(documents)
    for document, (inputs, targets) in zip(documents, examples, strict=True):
        assert rebuilt(inputs.tolist(), targets.tolist()) == document
        assert (len(targets) > 0) == (len(document) > 1)


@settings(max_examples=40)
@given(packings, st.integers(0, 5), st.integers(0, 50), st.sampled_from(["span_denoising", "ul2"]))
def test_a_batch_learns_the_targets_and_nothing_else(sizes: list[int], padding: int, place: int, name: str) -> None:
    objective = denoising(name=name)
    packed = sequence(*([7] * size for size in sizes), padding=padding)
    made = objective.batch([packed], [place])
    assert made.documents_BT is None or made.documents_BT.max() < len(sizes)
    learned = int(made.weights_BT.sum())
    examples = objective.examples(packed, place, made.inputs_BT.shape[1] + 1)
    assert learned == sum(len(example.targets_O) for example in examples)
    said = [token for example in examples for token in example.targets_O.tolist()]
    assert made.targets_BT[made.weights_BT > 0].tolist() == said


def test_one_document_always_fits() -> None:
    for name in ("span_denoising", "ul2"):
        objective = denoising(name=name)
        size = objective.packed_tokens(96)
        packed = sequence(list(range(size)))
        for place in range(20):
            made = objective.batch([packed], [place])
            assert made.inputs_BT.shape[1] <= 96
            (example,) = objective.examples(packed, place)
            assert int(made.weights_BT.sum()) == len(example.targets_O)
            assert rebuilt(example.inputs_I.tolist(), example.targets_O.tolist()) == list(range(size))


def test_as_many_tokens_as_fit() -> None:
    """T5 fits 467 tokens in 513: 70 are taken out, and 23 sentinels stand on both sides."""
    assert denoising().packed_tokens(512) == 467
    # Without sentinels, none is needed; the mode takes one.
    assert denoising(name="ul2", denoisers=[{"rate": 0.25}]).packed_tokens(512) == 513
    assert denoising(name="ul2", denoisers=[{"rate": 0.25, "mode": "[S]"}]).packed_tokens(512) == 512


def test_what_several_documents_are_too_long_by_is_left_out_at_the_end() -> None:
    packed = sequence([1, 2], [3, 4], [5, 6], [7, 8])
    made = denoising().batch([packed], [0])
    s = FIRST
    # Eight tokens of one document become ten; two become four.
    assert made.inputs_BT.tolist() == [[1, s, s, 2, 3, s, s, 4, 5]]
    assert made.targets_BT.tolist() == [[s, s, 2, 3, s, s, 4, 5, 7]]
    assert made.weights_BT.tolist() == [[0, 1, 1, 0, 0, 1, 1, 0, 0]]


def test_the_seed_and_the_place_decide() -> None:
    texts = [sequence(list(range(60)), list(range(40)))] * 8

    def made(seed: int, places: list[int]) -> list[list[int]]:
        found: list[list[int]] = denoising(seed).batch(texts[: len(places)], places).inputs_BT.tolist()
        return found

    every = made(1, list(range(8)))
    assert made(1, [2, 3]) + made(1, [0]) == [every[2], every[3], every[0]]
    assert len({tuple(row) for row in every}) == 8
    assert made(2, list(range(8))) != every


def test_denoisers_are_drawn_by_their_shares() -> None:
    denoisers = [{"mode": "[R]", "span": 3, "share": 3}, {"mode": "[S]", "rate": 0.25}]
    objective = denoising(name="ul2", denoisers=denoisers)
    packed = sequence(*([1, 2, 3, 4, END],) * 10)
    modes = [example.inputs_I[0] for place in range(200) for example in objective.examples(packed, place)]
    assert set(modes) == {FIRST + 100, FIRST + 101}
    # Four deviations of a binomial of 2,000 with three quarters.
    assert np.mean(np.array(modes) == FIRST + 100) == pytest.approx(0.75, abs=4 * (0.75 * 0.25 / 2000) ** 0.5)


def test_the_mixture_of_the_paper() -> None:
    options = UL2Options()
    assert [(each.mode, each.span, each.rate) for each in options.denoisers] == [
        ("[R]", 3, 0.15),
        ("[R]", 8, 0.15),
        ("[X]", 3, 0.5),
        ("[X]", 8, 0.5),
        ("[X]", 64, 0.15),
        ("[X]", 64, 0.5),
        ("[S]", None, 0.25),
    ]
    assert special_tokens(options)[-4:] == ["<extra_id_99>", "[R]", "[X]", "[S]"]


def test_without_boundaries_a_sequence_is_one_document() -> None:
    packed = Packed(np.array([1, 2, END, 3, 4, END, END], np.uint16), np.array([0] * 6 + [-1], np.int32))
    (example,) = denoising(rate=0.5, span=2).examples(packed, 0)
    assert rebuilt(example.inputs_I.tolist(), example.targets_O.tolist()) == [1, 2, END, 3, 4, END]


def test_too_few_sentinels() -> None:
    with pytest.raises(
        TrainingError, match=r"of 467 tokens 23 spans may be taken out, but there are 20 sentinels; give"
    ):
        denoising(sentinels=20).packed_tokens(512)
    assert denoising(sentinels=23).packed_tokens(512) == 467


def test_a_golden_draw() -> None:
    """A release that draws otherwise would not resume what an earlier one began."""
    packed = sequence(list(range(60)), list(range(40)))
    drawn = {
        name: [
            (len(inputs), int(inputs.sum()), int(targets.sum()))
            for place in (0, 1)
            for inputs, targets in denoising(1, name=name).examples(packed, place)
        ]
        for name in ("span_denoising", "ul2")
    }
    assert drawn["span_denoising"] == [(54, 2881, 1895), (36, 1582, 1200), (54, 2809, 1967), (36, 1590, 1192)]
    assert drawn["ul2"] == [(41, 6548, 5913), (23, 1864, 1519), (55, 3409, 1967), (36, 1662, 719)]


# --------------------------------------------------------------------------- as options, and in a training


def test_objectives_are_chosen_by_name() -> None:
    assert options().objective == ObjectiveOptions()
    assert options(objective={"name": "ul2", "sentinels": 7}).objective == UL2Options(sentinels=7)
    chosen = options(objective={"name": "span_denoising", "span": 2})
    assert chosen.objective == SpanDenoisingOptions(span=2)
    assert PretrainOptions.model_validate_json(chosen.model_dump_json()) == chosen
    assert PretrainOptions.model_validate(chosen.model_dump()) == chosen


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ({"name": "denoising"}, "objective: no objective is called 'denoising'; did you mean 'span_denoising'?"),
        ({"name": "span_denoising", "marker": "A:"}, "objective.marker: unknown key; "),
        ({"name": "span_denoising", "rate": 1}, "objective.rate: Input should be less than 1, not 1."),
        ({"name": "ul2", "rate": 0.2}, "objective.rate: unknown key; "),
        ({"name": "ul2", "denoisers": []}, "objective.denoisers: Tuple should have at least 1 item"),
        ({"name": "lm", "sentinels": 5}, "objective.sentinels: unknown key; "),
    ],
)
def test_options_that_do_not_fit(objective: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_options(PretrainOptions, values(objective=objective), "train.yaml")
    assert str(caught.value).startswith(f"train.yaml: {message}")


@pytest.mark.usefixtures("_training")
@pytest.mark.parametrize("attention", ["bidirectional", "causal"])
def test_a_training_goes_on_to_the_same_bits(base: Path, attention: str) -> None:
    given = {"steps": 8, "objective": {"name": "ul2", "attention": attention}, "data": {"context": 64}}
    pretrain(options("whole", **given), base)
    whole = losses(base / "whole")
    assert whole[-1] < whole[0]
    pretrain(options("run", **given), base, evaluator=FakeEvaluator(sentences={5: "Enough."}))
    pretrain(options("run", **given), base)
    assert log_of(base / "run") == log_of(base / "whole")
    assert weights(base / "run") == weights(base / "whole")
    checkpoint = open_checkpoint(base / "run" / "checkpoints" / "step-00000008")
    assert checkpoint.config.vocab_size == 384
    tokenizer = checkpoint.tokenizer()
    assert tokenizer.encode("<extra_id_0>[S]a<extra_id_99>") == [257, 359, 97, 356]
    assert tokenizer.eos_id == 256


@pytest.mark.usefixtures("_training")
def test_a_training_of_other_denoisers_is_another_one(base: Path) -> None:
    given = {"steps": 3, "data": {"context": 64}}
    pretrain(options("run", objective={"name": "span_denoising"}, **given), base)
    with pytest.raises(TrainingError, match=r"holds a training with other options \(objective\)"):
        pretrain(options("run", objective={"name": "span_denoising", "span": 4}, **given), base)


def test_a_context_with_more_spans_than_sentinels(base: Path) -> None:
    with pytest.raises(TrainingError, match="of 59 tokens 3 spans may be taken out, but there are 2 sentinels"):
        pretrain(options(objective={"name": "span_denoising", "sentinels": 2}, data={"context": 64}), base)
