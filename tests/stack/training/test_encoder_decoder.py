"""Trainings of encoder-decoders: what their batches hold, what their losses are, and that whole trainings go on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from stack.training.test_denoisers import FIRST, SHORT, denoising
from stack.training.test_objectives import END, MARKER, sequence
from stack.training.tiny_pretraining import FakeEvaluator, log_of, losses, options, weights
from torch import Tensor, nn
from torch.nn import functional as F

from evalharness.stack.architectures.encoder_decoder import EncoderDecoder
from evalharness.stack.architectures.encoder_decoder_config import EncoderDecoderConfig
from evalharness.stack.architectures.initial import initialize_encoder_decoder
from evalharness.stack.checkpoints.load import build_plain, open_checkpoint
from evalharness.stack.errors import TrainingError
from evalharness.stack.training.encoder_decoder_batches import Apart, EncoderDecoderBatch
from evalharness.stack.training.encoder_decoder_model import EncoderDecoderTrainingModel
from evalharness.stack.training.objectives import Objective, ObjectiveOptions
from evalharness.stack.training.pretrain import pretrain

START = 9
CONFIG = EncoderDecoderConfig(
    vocab_size=32, width=16, encoder_layers=2, decoder_layers=2, heads=2, head_dim=8, ffn_width=24, start_id=START
)
PREFIXES: dict[str, Any] = {"name": "prefix_lm", "split": "marker", "marker": "="}


def apart(**given: Any) -> Apart:
    return Apart(Objective(ObjectiveOptions.model_validate(given), 3, MARKER if given.get("marker") else ()), START)


def model() -> EncoderDecoder:
    made = EncoderDecoder(CONFIG)
    initialize_encoder_decoder(made, 1)
    return made


# --------------------------------------------------------------------------- batches


def test_a_golden_batch_of_prefixes() -> None:
    one = sequence([3, *MARKER, 4, END], [*MARKER, 5, END], [1, 2], padding=1)
    golden = apart(**PREFIXES).batch([one, sequence([3, *MARKER, END])], [0, 1])
    assert golden.read_BS.tolist() == [[3, 7, 8, 7, 8, 1, 2], [3, 7, 8, START, START, START, START]]
    assert golden.read_documents_BS.tolist() == [[0, 0, 0, 1, 1, 2, 2], [0, 0, 0, -1, -1, -1, -1]]
    assert golden.targets_BT.tolist() == [[4, END, 5, END], [END, START, START, START]]
    assert golden.inputs_BT.tolist() == [[START, 4, START, 5], [START] * 4]
    assert golden.documents_BT.tolist() == [[0, 0, 1, 1], [0, -1, -1, -1]]
    assert golden.weights_BT.tolist() == [[1, 1, 1, 1], [1, 0, 0, 0]]
    assert float(golden.weight) == 5
    dtypes = [getattr(golden, name).dtype for name in EncoderDecoderBatch.__slots__]
    assert dtypes == [torch.int64, torch.int32, torch.int64, torch.int64, torch.float32, torch.int32]


def test_a_golden_batch_of_spans() -> None:
    golden = Apart(denoising(rate=0.5, span=2), START).batch([SHORT], [0])
    s = FIRST
    assert golden.read_BS.tolist() == [[1, 2, s, 5, s]]
    assert golden.targets_BT.tolist() == [[s, 3, 4, s, 6]]
    assert golden.inputs_BT.tolist() == [[START, s, 3, START, s]]
    assert golden.documents_BT.tolist() == [[0, 0, 0, 1, 1]]


def test_a_batch_with_nothing_to_say() -> None:
    golden = apart(**PREFIXES).batch([sequence([1, 2], padding=1)], [0])
    assert golden.read_BS.tolist() == [[1, 2]]
    assert (golden.targets_BT.tolist(), golden.weights_BT.tolist()) == ([[START]], [[0]])


def test_a_random_prefix_is_that_of_a_decoder() -> None:
    packed = sequence(list(range(20)), list(range(12)), padding=3)
    objective = Objective(ObjectiveOptions(name="prefix_lm"), 3)
    given = objective.batch([packed], [5])
    assert given.prefix_BT is not None
    made = Apart(objective, START).batch([packed], [5])
    assert made.read_BS.tolist()[0] == given.inputs_BT[given.prefix_BT].tolist()
    assert made.targets_BT.tolist()[0] == given.targets_BT[given.weights_BT > 0].tolist()


def test_as_many_tokens_as_fit() -> None:
    """T5's 568 tokens for 512, of which the end of a text takes one on each side there."""
    assert Apart(denoising(), START).packed_tokens(511) == 568
    assert Apart(denoising(), START).sides(511) == (511, 113)
    assert apart(name="prefix_lm").packed_tokens(512) == 512
    # The sequential denoiser may be asked to read all but the last quarter: its mode is one token more.
    assert Apart(denoising(name="ul2", denoisers=[{"mode": "[S]", "rate": 0.25}]), START).packed_tokens(16) == 20


def test_objectives_that_do_not_fit() -> None:
    with pytest.raises(TrainingError, match="lm is for decoders; an encoder-decoder learns prefix_lm, span_denoising"):
        apart(name="lm")
    with pytest.raises(TrainingError, match="attention is causal, but an encoder sees all that is given"):
        apart(name="prefix_lm", attention="causal")
    with pytest.raises(TrainingError, match="prefix_weight must be 0 for an encoder-decoder"):
        apart(name="prefix_lm", attention="causal", prefix_weight=0.1)
    with pytest.raises(TrainingError, match="attention is causal"):
        Apart(denoising(attention="causal"), START)


# --------------------------------------------------------------------------- losses


DOCUMENTS = [([3, 4, 5, 6], [10, 11, END]), ([12, 13], [14, END]), ([1], [2])]


def packed_batch() -> EncoderDecoderBatch:
    """All documents in one sequence, and one alone in another."""
    whole = [[*given, *MARKER, *said] for given, said in DOCUMENTS]
    return apart(**PREFIXES).batch([sequence(*whole), sequence(whole[0])], [0, 1])


def alone(trained: EncoderDecoder, given: list[int], said: list[int]) -> Tensor:
    """The sum of the losses of a document by the model's own pass."""
    fed = torch.tensor([[START, *said[:-1]]])
    hidden_BTW = trained(torch.tensor([[*given, *MARKER]]), None, fed)
    return F.cross_entropy(F.linear(hidden_BTW[0], trained.head.weight), torch.tensor(said), reduction="sum")


@pytest.mark.parametrize("tied", [True, False])
def test_the_loss_is_that_of_each_document_alone(tied: bool) -> None:
    trained = EncoderDecoder(replace(CONFIG, tied_embeddings=tied, scaled_outputs=tied))
    initialize_encoder_decoder(trained, 1)
    expected = sum(alone(trained, *document) for document in [*DOCUMENTS, DOCUMENTS[0]])
    gradients = torch.autograd.grad(expected, list(trained.parameters()))
    losses_, plain = EncoderDecoderTrainingModel(trained)(packed_batch())
    assert float(plain) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert torch.equal(losses_.detach(), plain)
    assert not plain.requires_grad
    losses_.backward()
    for parameter, gradient in zip(trained.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-5)


def gradients_of(trained: EncoderDecoderTrainingModel) -> tuple[Tensor, list[Tensor]]:
    losses_, _ = trained(packed_batch())
    losses_.backward()
    return losses_.detach(), [parameter.grad for parameter in trained.parameters()]  # type: ignore[misc]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_blocks_computed_again_give_the_same_bits(dtype: torch.dtype) -> None:
    plain, expected = gradients_of(EncoderDecoderTrainingModel(model(), dtype=dtype))
    trained = model()
    passes = 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1

    for block in (*trained.encoder.blocks, *trained.decoder.blocks):
        block.register_forward_pre_hook(count)
    again, found = gradients_of(EncoderDecoderTrainingModel(trained, dtype=dtype, recompute=True))
    assert passes == 2 * 4
    assert torch.equal(again, plain)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_in_bf16_products_are_narrow_and_all_else_is_wide() -> None:
    trained, seen = model(), {}
    for name, module in trained.named_modules():
        if isinstance(module, nn.Linear) and name != "head":
            module.register_forward_hook(lambda m, i, output, name=name: seen.update({name: output.dtype}))
    narrow, found = gradients_of(EncoderDecoderTrainingModel(trained, dtype=torch.bfloat16))
    assert set(seen.values()) == {torch.bfloat16}
    assert {gradient.dtype for gradient in (narrow, *found)} == {torch.float32}
    assert float(narrow) == pytest.approx(float(gradients_of(EncoderDecoderTrainingModel(model()))[0]), rel=0.02)


def test_z_loss_and_the_gradient_of_the_embedding() -> None:
    plain, _ = gradients_of(EncoderDecoderTrainingModel(model()))
    with_z, same = EncoderDecoderTrainingModel(model(), z_loss=0.1)(packed_batch())
    assert float(same) == float(plain)
    assert float(with_z.detach()) > float(plain)
    untied = replace(CONFIG, tied_embeddings=False, scaled_outputs=False)

    def embedding(factor: float) -> Tensor:
        made = EncoderDecoder(untied)
        initialize_encoder_decoder(made, 1)
        gradients_of(EncoderDecoderTrainingModel(made, embedding_gradient=factor))
        assert made.embedding.weight.grad is not None
        return made.embedding.weight.grad

    torch.testing.assert_close(embedding(0.1), 0.1 * embedding(1.0))


def test_a_document_does_not_change_with_its_neighbours() -> None:
    """Another text beside it leaves a document's loss as it is."""
    trained = EncoderDecoderTrainingModel(model())

    def loss_of_the_first(other: list[int]) -> float:
        made = apart(**PREFIXES).batch([sequence([3, 4, *MARKER, 5, 6], [*other, *MARKER, 7, END])], [0])
        learned = torch.where(made.documents_BT == 0, made.weights_BT, 0)
        kept = [made.read_BS, made.read_documents_BS, made.inputs_BT, made.targets_BT, learned, made.documents_BT]
        return float(trained(EncoderDecoderBatch(*kept))[1])

    assert loss_of_the_first([10, 11]) == pytest.approx(loss_of_the_first([20, 21]), rel=1e-6)


def test_initial_weights_are_t5s() -> None:
    config = EncoderDecoderConfig(
        vocab_size=512, width=64, encoder_layers=1, decoder_layers=1, heads=4, head_dim=32, ffn_width=256
    )
    made = EncoderDecoder(config)
    initialize_encoder_decoder(made, 0)
    deviations = {
        name: float(parameter.detach().std()) for name, parameter in made.named_parameters() if parameter.dim() > 1
    }
    for name, expected in {
        "embedding.weight": 1.0,
        "encoder.blocks.0.attention.qkv.query.weight": (64 * 32) ** -0.5,
        "decoder.blocks.0.cross_attention.query.weight": (64 * 32) ** -0.5,
        "encoder.blocks.0.attention.qkv.key.weight": 64**-0.5,
        "decoder.blocks.0.attention.output.weight": (4 * 32) ** -0.5,
        "decoder.blocks.0.feed_forward.down.weight": 256**-0.5,
        "decoder.positions.weight": 64**-0.5,
    }.items():
        assert deviations[name] == pytest.approx(expected, rel=0.15), name
    again = EncoderDecoder(config)
    initialize_encoder_decoder(again, 0, factor=2.0)
    assert torch.equal(again.embedding.weight, 2 * made.embedding.weight)
    assert float(again.encoder.norm.weight.detach().min()) == 1.0


# --------------------------------------------------------------------------- whole trainings


T5: dict[str, Any] = {"architecture": "encoder_decoder", "layers": 1, "width": 16, "heads": 2, "ffn_width": 24}


def given(folder: str, objective: dict[str, Any], **changes: Any) -> Any:
    """A training of an encoder-decoder; its section `model` has nothing of a decoder's."""
    made = options(folder, objective=objective, **changes).model_dump()
    return type(options()).model_validate(made | {"model": T5})


@pytest.mark.usefixtures("_training")
@pytest.mark.parametrize(
    "objective",
    [{"name": "prefix_lm", "split": "marker", "marker": "Q:"}, {"name": "span_denoising"}],
    ids=["prefix_lm", "span_denoising"],
)
def test_a_training_goes_on_to_the_same_bits(base: Path, objective: dict[str, Any]) -> None:
    data = {"packing": "best_fit", "context": 64}
    pretrain(given("whole", objective, steps=8, data=data), base)
    whole = losses(base / "whole")
    assert whole[-1] < whole[0]
    evaluator = FakeEvaluator(sentences={5: "Enough."})
    pretrain(given("run", objective, steps=8, data=data), base, evaluator=evaluator)
    pretrain(given("run", objective, steps=8, data=data), base)
    assert log_of(base / "run") == log_of(base / "whole")
    assert weights(base / "run") == weights(base / "whole")
    checkpoint = open_checkpoint(base / "run" / "checkpoints" / "step-00000008")
    assert checkpoint.config.architecture == "t5"
    assert checkpoint.config.max_length == 64
    tokenizer = checkpoint.tokenizer()
    sentinel = tokenizer.tokenizer.token_to_id("<extra_id_0>")
    assert sentinel == (257 if objective["name"] == "span_denoising" else None)


@pytest.mark.usefixtures("_training")
def test_a_checkpoint_is_a_t5_of_transformers(base: Path) -> None:
    from transformers import T5ForConditionalGeneration

    pretrain(given("run", {"name": "span_denoising"}, steps=3, data={"context": 64}), base)
    path = base / "run" / "checkpoints" / "step-00000003"
    ours, theirs = (
        build_plain(open_checkpoint(path), torch.float32, "cpu"),
        T5ForConditionalGeneration.from_pretrained(path),
    )
    assert isinstance(ours, EncoderDecoder)
    read, said = torch.tensor([[65, 100, 97, 257]]), torch.tensor([[257, 32, 256]])
    with torch.no_grad():
        expected = theirs(input_ids=read, labels=said).loss
        fed = torch.tensor([[256, 257, 32]])
        found = F.cross_entropy(ours.logits(ours(read, None, fed)[0]), said[0])
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.usefixtures("_training")
def test_what_does_not_fit_is_said_before_anything_is_written(base: Path) -> None:
    with pytest.raises(TrainingError, match="lm is for decoders"):
        pretrain(given("run", {"name": "lm"}), base)
    assert not (base / "run").exists()
