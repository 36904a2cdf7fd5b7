"""Our side of throughput.py: model, loss and step of `evalharness pretrain`, without its data, log and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from shape import Shape
from torch import Tensor

from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.initial import initialize
from evalharness.stack.config import ModelConfig
from evalharness.stack.training.groups import OptimizerRule
from evalharness.stack.training.model import TrainingModel
from evalharness.stack.training.objectives import Batch
from evalharness.stack.training.optimizers import make_optimizers
from evalharness.stack.training.processes import Processes
from evalharness.stack.training.step import backward, mean_losses, update


def decoder_of(shape: Shape) -> Decoder:
    """With GPT-2's initial weights."""
    config = ModelConfig(
        vocab_size=shape.vocabulary,
        width=shape.width,
        layers=shape.layers,
        heads=shape.heads,
        kv_heads=shape.heads,
        head_dim=shape.width // shape.heads,
        ffn_width=4 * shape.width,
        norm="layer_norm",
        norm_epsilon=1e-5,
        feed_forward="gelu_tanh",
        ffn_bias=True,
        positions="learned",
        qkv_bias=True,
        output_bias=True,
        tied_embeddings=True,
        max_length=shape.context,
    )
    decoder = Decoder(config)
    initialize(decoder, seed=0)
    return decoder


def ours(shape: Shape, initial: Path) -> tuple[Callable[[Tensor], float], Callable[[Tensor], float]]:
    """A step of training and a validation: each takes ids of shape [B, T + 1] and returns the mean loss."""
    decoder = decoder_of(shape)
    torch.save(dict(by_transformers_names(decoder)), initial)
    # On GPUs, where it costs speed, neither side is bound to equal bits.
    torch.use_deterministic_algorithms(shape.device == "cpu")
    model = TrainingModel(
        decoder.to(shape.device), dtype=torch.bfloat16 if shape.bf16 else torch.float32, compiled=shape.compiled
    )
    rule = OptimizerRule(rate=shape.adamw["lr"], betas=shape.adamw["betas"], weight_decay=shape.adamw["weight_decay"])
    optimizers = make_optimizers(decoder.named_parameters(), [rule])
    alone, device = Processes(), torch.device(shape.device)

    def batch(ids: Tensor) -> Batch:
        inputs_BT = ids[:, :-1]
        weights_BT = torch.ones_like(inputs_BT, dtype=torch.float32)
        positions_T = torch.arange(inputs_BT.shape[1], device=ids.device)
        return Batch(inputs_BT, ids[:, 1:], weights_BT, positions_T, None, None)

    def step(ids: Tensor) -> float:
        gradients = backward(model, [batch(ids)], alone, device, shape.clip)
        update(model, optimizers)
        return gradients.loss

    # Without gradients torch.compile would begin anew.
    plain = TrainingModel(decoder, dtype=torch.bfloat16 if shape.bf16 else torch.float32) if shape.compiled else model

    def validate(ids: Tensor) -> float:
        return mean_losses(plain, [batch(ids)], alone, device)[0]

    return step, validate


def by_transformers_names(decoder: Decoder) -> Iterator[tuple[str, Tensor]]:
    """The weights as GPT2LMHeadModel names and turns them."""
    weights = decoder.state_dict()
    yield "transformer.wte.weight", weights["embedding.weight"]
    yield "transformer.wpe.weight", weights["positions.weight"]
    yield "lm_head.weight", weights["embedding.weight"]
    for kind in ("weight", "bias"):
        yield f"transformer.ln_f.{kind}", weights[f"norm.{kind}"]
        for layer in range(decoder.config.layers):
            ours, theirs = f"blocks.{layer}", f"transformer.h.{layer}"
            yield f"{theirs}.ln_1.{kind}", weights[f"{ours}.attention_norm.{kind}"]
            yield f"{theirs}.ln_2.{kind}", weights[f"{ours}.feed_forward_norm.{kind}"]
            qkv = [weights[f"{ours}.attention.qkv.{part}.{kind}"] for part in ("query", "key", "value")]
            yield f"{theirs}.attn.c_attn.{kind}", torch.cat(qkv).t()
            yield f"{theirs}.attn.c_proj.{kind}", weights[f"{ours}.attention.output.{kind}"].t()
            yield f"{theirs}.mlp.c_fc.{kind}", weights[f"{ours}.feed_forward.up.{kind}"].t()
            yield f"{theirs}.mlp.c_proj.{kind}", weights[f"{ours}.feed_forward.down.{kind}"].t()
