"""Mamba (Gu and Dao 2023, arXiv:2312.00752), in the layout of the published models whose names end in ``-hf``."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from evalharness.stack.architectures.families.family import Family
from evalharness.stack.architectures.families.rules import Rule, part, same
from evalharness.stack.architectures.families.values import Values, ends_json
from evalharness.stack.architectures.mamba_config import MambaConfig

if TYPE_CHECKING:
    from evalharness.stack.architectures.mamba import Mamba

TRAINED_LENGTH = 2048
"""Tokens of the texts that the published models were trained on (appendix E.2); their ``config.json`` names no length,
as the model itself has none."""


def _read(values: Values) -> MambaConfig:
    values.require("hidden_act", "silu", default="silu")
    width = values.size("hidden_size", "d_model")
    rank = values.get("time_step_rank", "auto")
    return MambaConfig(
        vocab_size=values.size("vocab_size"),
        width=width,
        layers=values.size("num_hidden_layers", "n_layer"),
        expand=values.size("expand", default=2),
        state_size=values.size("state_size", default=16),
        kernel=values.size("conv_kernel", default=4),
        time_step_rank=-(-width // 16) if rank == "auto" else values.size("time_step_rank"),
        biases=values.flag("use_bias"),
        kernel_bias=values.flag("use_conv_bias", default=True),
        norm_epsilon=values.number("layer_norm_epsilon", 1e-5),
        residual_fp32=values.flag("residual_in_fp32", default=True),
        max_length=values.size("max_position_embeddings", default=TRAINED_LENGTH),
        **values.ends(tied=True),
    )


def _write(config: MambaConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "expand": config.expand,
        "intermediate_size": config.inner_width,
        "state_size": config.state_size,
        "conv_kernel": config.kernel,
        "time_step_rank": config.time_step_rank,
        "use_bias": config.biases,
        "use_conv_bias": config.kernel_bias,
        "hidden_act": "silu",
        "layer_norm_epsilon": config.norm_epsilon,
        "residual_in_fp32": config.residual_fp32,
        "max_position_embeddings": config.max_length,
        **ends_json(config),
    }


def _rules(config: MambaConfig, _: Collection[str]) -> Iterator[Rule]:
    yield same("embedding.weight", "backbone.embeddings.weight")
    yield from part("norm", "backbone.norm_f", bias=False)
    if not config.tied_embeddings:
        yield same("head.weight", "lm_head.weight")
    biased = {
        "in_proj": config.biases,
        "conv1d": config.kernel_bias,
        "x_proj": False,
        "dt_proj": True,
        "out_proj": config.biases,
    }
    for layer in range(config.layers):
        block, stored = f"blocks.{layer}", f"backbone.layers.{layer}"
        yield from part(f"{block}.norm", f"{stored}.norm", bias=False)
        yield same(f"{block}.mixer.A_log", f"{stored}.mixer.A_log")
        yield same(f"{block}.mixer.D", f"{stored}.mixer.D")
        for name, bias in biased.items():
            yield from part(f"{block}.mixer.{name}", f"{stored}.mixer.{name}", bias=bias)


def _build(config: MambaConfig) -> Mamba:
    from evalharness.stack.architectures.mamba import Mamba

    return Mamba(config)


MAMBA = Family(
    title="Mamba",
    class_name="MambaForCausalLM",
    read=_read,
    write=_write,
    rules=_rules,
    build=_build,
    prefix="backbone.",
    embedding="backbone.embeddings.weight",
    renamed=((r"^backbone\.embedding\.", "backbone.embeddings."),),
    runs="loop",
    endless=True,
)
