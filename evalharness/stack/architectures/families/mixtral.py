"""Mixtral: Mistral with a mixture of experts for each feed-forward layer (Jiang et al. 2024, arXiv:2401.04088)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from evalharness.stack.architectures.families.family import Family
from evalharness.stack.architectures.families.llama import (
    attention,
    common,
    common_json,
    has_common_parts,
    outside,
)
from evalharness.stack.architectures.families.rules import Rule, same
from evalharness.stack.architectures.families.values import Values
from evalharness.stack.config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor

EXPERT = {"gate_up.gate": "w1", "down": "w2", "gate_up.up": "w3"}


def _read(values: Values) -> ModelConfig:
    shared = common(values, theta=1e6)
    window = values.size("sliding_window") if values.has("sliding_window") else None
    return ModelConfig(
        architecture="mixtral",
        experts=values.size("num_local_experts", "num_experts", default=8),
        experts_per_token=values.size("num_experts_per_tok", default=2),
        windows=() if window is None else (window,) * shared["layers"],
        **shared,
    )


def _write(config: ModelConfig) -> dict[str, Any]:
    return common_json(config) | {
        "num_local_experts": config.experts,
        "num_experts_per_tok": config.experts_per_token,
    }


def _rules(config: ModelConfig, stored: Collection[str]) -> Iterator[Rule]:
    stacked = any(name.endswith(".experts.gate_up_proj") for name in stored)
    yield from outside(config)
    for layer in range(config.layers):
        block, hub = f"blocks.{layer}", f"model.layers.{layer}"
        yield from attention(config, block, hub)
        ours, theirs = f"{block}.feed_forward", f"{hub}.block_sparse_moe"
        yield same(f"{ours}.router.weight", f"{theirs}.gate.weight")
        if stacked:
            yield from _stacked(f"{ours}.experts", f"{theirs}.experts", config.experts or 1)
            continue
        for number in range(config.experts or 1):
            for name, letter in EXPERT.items():
                expert = f"experts.{number}"
                yield same(f"{ours}.{expert}.{name}.weight", f"{theirs}.{expert}.{letter}.weight")


def _stacked(ours: str, stored: str, experts: int) -> Iterator[Rule]:
    """All experts' gates and ups in one tensor [E, 2F, W], and their downs in another, [E, W, F]: how transformers 5
    computes them."""

    def gates_and_ups(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        gates, ups = tensors[0].chunk(2, dim=1)
        return [*gates.unbind(0), *ups.unbind(0)]

    def downs(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        return tensors[0].unbind(0)

    def names(part: str) -> list[str]:
        return [f"{ours}.{number}.{part}.weight" for number in range(experts)]

    both = (*names("gate_up.gate"), *names("gate_up.up"))
    yield Rule(both, (f"{stored}.gate_up_proj",), gates_and_ups)
    yield Rule(tuple(names("down")), (f"{stored}.down_proj",), downs)


def _covers(config: ModelConfig) -> bool:
    slides_alike = not any(config.windows) or None not in config.windows
    return (
        has_common_parts(config)
        and config.experts is not None
        and not (config.qkv_bias or config.output_bias or config.qk_norm)
        and slides_alike
    )


MIXTRAL = Family(
    title="Mixtral",
    class_name="MixtralForCausalLM",
    read=_read,
    write=_write,
    rules=_rules,
    covers=_covers,
    prefix="model.",
    embedding="model.embed_tokens.weight",
    renamed=((r"\.mlp\.", ".block_sparse_moe."),),
    leftovers=(r"\.rotary_emb\.inv_freq$",),
)
