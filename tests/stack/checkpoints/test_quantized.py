"""Decoders with small weights: they compute what their small numbers say, and are read in parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.checkpoints.load import in_blocks, open_checkpoint
from evalharness.stack.checkpoints.quantized import build_quantized
from evalharness.stack.config import ModelConfig
from evalharness.stack.errors import CheckpointError
from evalharness.stack.kernels import int4_linear as int4
from evalharness.stack.kernels import int8_linear as int8
from evalharness.stack.layers.attention import WholeSequence
from evalharness.stack.layers.experts import Experts
from evalharness.stack.layers.linear import PackedLinear, can_pack
from evalharness.stack.layers.quantized import Int4Linear, Int8Embedding, Int8Linear
from evalharness.stack.quantization.kinds import GROUP

SIZES = {
    "vocab_size": 96, "width": 64, "layers": 2, "heads": 4, "kv_heads": 2, "head_dim": 16, "ffn_width": 96,
    "norm_epsilon": 1e-5, "max_length": 64,
}  # fmt: skip
CASES = {
    "llama": {"tied_embeddings": True},
    "gpt2": {
        "norm": "layer_norm", "feed_forward": "gelu_tanh", "ffn_bias": True, "positions": "learned", "kv_heads": 4,
        "qkv_bias": True, "output_bias": True,
    },
    "experts": {"experts": 4, "experts_per_token": 2},
    "narrow embedding": {"embedding_width": 32, "tied_embeddings": True, "residual": "post"},
}  # fmt: skip
KEPT = ("norm", "router", "positions", "bias")
IDS = torch.randint(0, 96, (40,), generator=torch.Generator().manual_seed(3))


@dataclass
class Held:
    """A checkpoint in memory, which is handed out in blocks of few rows."""

    config: ModelConfig
    weights: dict[str, torch.Tensor]
    path = Path("held")
    rows = 5

    def tensors(self):
        return iter(self.weights.items())

    def by_rows(self, numbers):
        return in_blocks(self.tensors(), numbers=64 * self.rows)

    def stored_name(self, ours):
        return ours


def held(case: str) -> Held:
    config = ModelConfig(**SIZES | CASES[case])
    random = torch.Generator().manual_seed(1)
    weights = {}
    for name, tensor in Decoder(config).state_dict().items():
        drawn = torch.randn(tensor.shape, generator=random) * 0.2
        weights[name] = drawn + 1 if "norm" in name and name.endswith("weight") else drawn
    if config.tied_embeddings:
        del weights["head.weight"]
    return Held(config, weights)


def rounded(checkpoint: Held, kind: str) -> Decoder:
    """The decoder in fp32 whose weights are the numbers that small ones stand for."""
    weights = {}
    for name, tensor in checkpoint.weights.items():
        if any(part in name for part in KEPT):
            weights[name] = tensor
        elif kind == "int8" or name in ("embedding.weight", "head.weight"):
            weights[name] = int8.quantize(tensor).dequantized(torch.float32)
        else:
            weights[name] = int4.quantize(tensor, GROUP, symmetric=False).dequantized(torch.float32)
    if checkpoint.config.tied_embeddings:
        weights["head.weight"] = weights["embedding.weight"]
    model = Decoder(checkpoint.config)
    model.load_state_dict(weights)
    return model.eval()


@torch.inference_mode()
def logits(model: Decoder) -> torch.Tensor:
    return model.logits(model(IDS, torch.arange(len(IDS)), WholeSequence()))


@pytest.mark.parametrize("kind", ["int8", "int4"])
@pytest.mark.parametrize("case", CASES)
def test_it_computes_what_its_small_numbers_say(case, kind):
    checkpoint = held(case)
    model = build_quantized(checkpoint, torch.float32, torch.device("cpu"), kind)
    found, expected = logits(model), logits(rounded(checkpoint, kind))
    assert found.dtype == torch.float32
    # Inputs have 16 bits with weights of eight and 8 with weights of four; a router may then choose another expert.
    tolerance = {"int8": 2e-3, "int4": 0.15}[kind]
    off = (found - expected).abs().amax(1) / expected.abs().max()
    assert (off < tolerance).float().mean() > (0.8 if case == "experts" else 0.999)
    whole = Decoder(checkpoint.config)
    whole.load_state_dict(
        checkpoint.weights
        | {"head.weight": checkpoint.weights.get("head.weight", checkpoint.weights["embedding.weight"])}
    )
    assert not torch.allclose(found, logits(whole.eval()), atol=1e-3), "nothing was made small"


def test_nothing_of_it_is_whole_but_norms_and_what_is_told():
    model = build_quantized(held("experts"), torch.float32, torch.device("cpu"), "int4")
    assert {name.split(".")[-2] for name, _ in model.named_parameters()} == {
        "attention_norm", "feed_forward_norm", "norm", "router",
    }  # fmt: skip
    assert isinstance(model.embedding, Int8Embedding)
    assert isinstance(model.head, Int8Linear)
    assert isinstance(model.blocks[0].attention.qkv, Int4Linear)
    assert model.blocks[0].attention.qkv.out_features == 128
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_tied_embeddings_are_one_weight():
    model = build_quantized(held("llama"), torch.bfloat16, torch.device("cpu"), "int8")
    assert model.embedding.quantized is model.head.quantized
    assert (model.dtype, model.device.type) == (torch.bfloat16, "cpu")
    assert model.embedding(torch.tensor([[3, 5]])).shape == (1, 2, 64)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"blocks.1.attention.output.weight": None}, "held lacks the weights 'blocks.1.attention.output.weight'"),
        (
            {"blocks.0.feed_forward.down.weight": torch.zeros(64, 32)},
            r"'blocks.0.feed_forward.down.weight' have the shape \(64, 32\)",
        ),
        ({"embedding.weight": None}, "held lacks the weights 'embedding.weight'"),
        ({"blocks.0.extra.weight": torch.zeros(2, 2)}, "'blocks.0.extra.weight' belong to no part"),
    ],
)
def test_what_does_not_fit_is_refused(change, sentence):
    checkpoint = held("llama")
    checkpoint.weights = {name: tensor for name, tensor in (checkpoint.weights | change).items() if tensor is not None}
    with pytest.raises(CheckpointError, match=sentence):
        build_quantized(checkpoint, torch.float32, torch.device("cpu"), "int8")


@pytest.mark.model
def test_the_embedded_model_is_unpacked_in_parts(smollm2):
    checkpoint = open_checkpoint(smollm2)
    whole, first = checkpoint.tensors(), 12
    for (name, tensor), (same, rows) in zip(whole, checkpoint.by_rows(2**16), strict=False):
        blocks = list(rows.blocks)
        assert name == same
        assert rows.shape == tuple(tensor.shape)
        assert torch.equal(torch.cat(blocks), tensor)
        if name == "embedding.weight":
            assert max(block.numel() for block in blocks) <= 2**16
        first -= 1
        if not first:
            break


@pytest.mark.skipif(not can_pack(torch.device("cpu"), torch.float32), reason="this build of torch packs no weights")
@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_the_routers_weights_are_packed_as_a_whole_models_are(kind: str) -> None:
    model = build_quantized(held("experts"), torch.float32, torch.device("cpu"), kind)
    before = model.logits(model(IDS, torch.arange(len(IDS)), WholeSequence()))
    model.pack()
    routers = [layer.router for layer in model.modules() if isinstance(layer, Experts)]
    assert [type(router) for router in routers] == [PackedLinear] * 2
    assert isinstance(model.head, Int8Linear)
    torch.testing.assert_close(model.logits(model(IDS, torch.arange(len(IDS)), WholeSequence())), before)
