"""Whole models of parts: as transformers' models of the same parts, or as their formulas say."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from itertools import combinations

import pytest
import torch
import transformers
from stack.architectures.combinations import config_of
from torch import Tensor, nn

from evalharness.stack.architectures.blocks import BLOCKS
from evalharness.stack.architectures.decoder import Decoder
from evalharness.stack.architectures.initial import initialize
from evalharness.stack.config import GATED, PARTS, ModelConfig
from evalharness.stack.layers.attention import WholeSequence
from evalharness.stack.layers.feedforward import FEED_FORWARDS
from evalharness.stack.layers.norms import NORMS
from evalharness.stack.layers.positions import POSITIONS
from evalharness.stack.training.attention import BatchAttention

IDS = torch.randint(0, 64, (50,), generator=torch.Generator().manual_seed(1))


def logits(model: Decoder, ids_T: Tensor = IDS) -> Tensor:
    with torch.inference_mode():
        return model.logits(model(ids_T, torch.arange(len(ids_T)), WholeSequence()))


def seen(model: nn.Module) -> nn.Module:
    """The model with random biases, norms and matrices large enough to matter."""
    random = torch.Generator().manual_seed(2)
    for _, parameter in sorted(model.named_parameters()):
        parameter.data += torch.randn(parameter.shape, generator=random) * 0.2
    return model.eval().requires_grad_(False)


def test_the_names_of_a_configuration_are_those_of_the_parts():
    tables = {"norm": NORMS, "residual": BLOCKS, "feed_forward": FEED_FORWARDS, "positions": POSITIONS}
    assert {key: set(names) for key, names in PARTS.items()} == {key: set(table) for key, table in tables.items()}
    assert set(GATED) == {name for name, shape in FEED_FORWARDS.items() if shape.gated}


# --------------------------------------------------------------------------- against transformers

GPT = {"vocab_size": 64, "n_positions": 512, "n_embd": 32, "n_layer": 2, "n_head": 4}
NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "attn_implementation": "eager"}


def from_gpt(
    theirs: Mapping[str, Tensor], names: Mapping[str, str], *, kv_width: int = 32, transposed: bool = True
) -> dict[str, Tensor]:
    """Weights of the GPT line by our names; `names` are those outside of the blocks."""
    found = {}
    for layer in range(2):
        for ours, hub in (
            ("attention_norm", "ln_1"),
            ("feed_forward_norm", "ln_2"),
            ("attention.output", "attn.c_proj"),
            ("feed_forward.up", "mlp.c_fc"),
            ("feed_forward.down", "mlp.c_proj"),
            ("attention.qkv", "attn.c_attn"),
        ):
            for kind in ("weight", "bias"):
                tensor = theirs[f"transformer.h.{layer}.{hub}.{kind}"]
                tensor = tensor.T if transposed and tensor.dim() == 2 else tensor
                if ours == "attention.qkv":
                    parts = zip(("query", "key", "value"), tensor.split((32, kv_width, kv_width)), strict=True)
                    found |= {f"blocks.{layer}.{ours}.{part}.{kind}": piece for part, piece in parts}
                else:
                    found[f"blocks.{layer}.{ours}.{kind}"] = tensor
    return found | {ours: theirs[hub] for ours, hub in names.items()}


GPT2_ENDS = {
    "embedding.weight": "transformer.wte.weight",
    "positions.weight": "transformer.wpe.weight",
    "norm.weight": "transformer.ln_f.weight",
    "norm.bias": "transformer.ln_f.bias",
    "head.weight": "lm_head.weight",
}
ALL_BIASED = {"qkv_bias": True, "output_bias": True, "ffn_bias": True, "ffn_width": 128, "norm": "layer_norm"}
LEARNED = {"positions": "learned", "tied_embeddings": True, "feed_forward": "gelu_tanh"}


def compare(theirs: nn.Module, config: ModelConfig, weights: Mapping[str, Tensor]) -> None:
    model = Decoder(config)
    model.load_state_dict(weights)
    with torch.inference_mode():
        expected = theirs(IDS[None]).logits[0]
        torch.testing.assert_close(logits(model), expected, atol=1e-4, rtol=1e-4)
        hidden_BTW = model(IDS[None], torch.arange(len(IDS)), BatchAttention())
        torch.testing.assert_close(model.logits(hidden_BTW)[0], expected, atol=1e-4, rtol=1e-4)


def test_gpt2():
    theirs = seen(transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT, **NO_DROPOUT)))
    weights = from_gpt(theirs.state_dict(), GPT2_ENDS)
    compare(theirs, config_of({}, **ALL_BIASED, **LEARNED), weights)


def test_gpt1_norms_after_adding():
    theirs = seen(transformers.OpenAIGPTLMHeadModel(transformers.OpenAIGPTConfig(**GPT, **NO_DROPOUT)))
    ends = {
        "embedding.weight": "transformer.tokens_embed.weight",
        "positions.weight": "transformer.positions_embed.weight",
        "head.weight": "lm_head.weight",
    }
    weights = from_gpt(theirs.state_dict(), ends)
    compare(theirs, config_of({}, residual="post", **ALL_BIASED, **LEARNED), weights)


def test_gpt_bigcode_has_one_key_head():
    theirs = seen(transformers.GPTBigCodeForCausalLM(transformers.GPTBigCodeConfig(**GPT, **NO_DROPOUT)))
    weights = from_gpt(theirs.state_dict(), GPT2_ENDS, kv_width=8, transposed=False)
    compare(theirs, config_of({}, kv_heads=1, **ALL_BIASED, **LEARNED), weights)


def test_gptj_adds_both_layers_of_one_norm():
    config = transformers.GPTJConfig(**GPT, **NO_DROPOUT, rotary_dim=4, tie_word_embeddings=False)
    theirs = seen(transformers.GPTJForCausalLM(config))
    theirs.lm_head.bias.data.zero_()
    state = theirs.state_dict()
    weights = {
        "embedding.weight": state["transformer.wte.weight"],
        "norm.weight": state["transformer.ln_f.weight"],
        "norm.bias": state["transformer.ln_f.bias"],
        "head.weight": state["lm_head.weight"],
    }
    # Theirs turns neighbours, ours the pairs (i, i + 2) of the four numbers that are turned.
    order = torch.tensor([0, 2, 1, 3, 4, 5, 6, 7])
    for layer in range(2):
        block = f"transformer.h.{layer}."
        for part in ("query", "key", "value"):
            tensor = state[f"{block}attn.{part[0]}_proj.weight"]
            tensor = tensor if part == "value" else tensor.view(4, 8, 32)[:, order].reshape(32, 32)
            weights[f"blocks.{layer}.attention.qkv.{part}.weight"] = tensor
        weights[f"blocks.{layer}.attention.output.weight"] = state[f"{block}attn.out_proj.weight"]
        for kind in ("weight", "bias"):
            weights[f"blocks.{layer}.attention_norm.{kind}"] = state[f"{block}ln_1.{kind}"]
            weights[f"blocks.{layer}.feed_forward.up.{kind}"] = state[f"{block}mlp.fc_in.{kind}"]
            weights[f"blocks.{layer}.feed_forward.down.{kind}"] = state[f"{block}mlp.fc_out.{kind}"]
    parts = {"residual": "parallel", "norm": "layer_norm", "feed_forward": "gelu_tanh", "rotary_dim": 4}
    compare(theirs, config_of({}, **parts, ffn_bias=True, ffn_width=128), weights)


def from_fused(state: Mapping[str, Tensor], block: str, layer: int, hub: Mapping[str, str]) -> dict[str, Tensor]:
    """Weights of a block whose queries, keys and values lie head by head in one matrix."""
    found = {}
    for kind in ("weight", "bias"):
        fused = state[f"{block}{hub['attention.qkv']}.{kind}"].unflatten(0, (4, 3, 8))
        for number, part in enumerate(("query", "key", "value")):
            found[f"blocks.{layer}.attention.qkv.{part}.{kind}"] = fused[:, number].flatten(0, 1)
        for ours, theirs in hub.items():
            if ours != "attention.qkv":
                found[f"blocks.{layer}.{ours}.{kind}"] = state[f"{block}{theirs}.{kind}"]
    return found


FUSED = {
    "attention_norm": "input_layernorm",
    "feed_forward_norm": "post_attention_layernorm",
    "feed_forward.up": "mlp.dense_h_to_4h",
    "feed_forward.down": "mlp.dense_4h_to_h",
}


def test_gpt_neox_turns_heads_in_part():
    config = transformers.GPTNeoXConfig(
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        hidden_act="gelu",
        use_parallel_residual=False,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5},
        attn_implementation="eager",
    )
    theirs = seen(transformers.GPTNeoXForCausalLM(config))
    state = theirs.state_dict()
    weights = {
        "embedding.weight": state["gpt_neox.embed_in.weight"],
        "norm.weight": state["gpt_neox.final_layer_norm.weight"],
        "norm.bias": state["gpt_neox.final_layer_norm.bias"],
        "head.weight": state["lm_head.weight"],
    }
    names = FUSED | {"attention.qkv": "attention.query_key_value", "attention.output": "attention.dense"}
    for layer in range(2):
        weights |= from_fused(state, f"gpt_neox.layers.{layer}.", layer, names)
    compare(theirs, config_of({}, **ALL_BIASED, feed_forward="gelu", rotary_dim=4), weights)


def test_bloom_lets_scores_fall_with_the_distance():
    config = transformers.BloomConfig(vocab_size=64, hidden_size=32, n_layer=2, n_head=4, tie_word_embeddings=False)
    theirs = seen(transformers.BloomForCausalLM(config))
    state = theirs.state_dict()
    # Bloom norms its embeddings once; a table that is normed already says the same.
    normed = theirs.transformer.word_embeddings_layernorm(state["transformer.word_embeddings.weight"])
    weights = {
        "embedding.weight": normed,
        "norm.weight": state["transformer.ln_f.weight"],
        "norm.bias": state["transformer.ln_f.bias"],
        "head.weight": state["lm_head.weight"],
    }
    names = FUSED | {"attention.qkv": "self_attention.query_key_value", "attention.output": "self_attention.dense"}
    for layer in range(2):
        weights |= from_fused(state, f"transformer.h.{layer}.", layer, names)
    compare(theirs, config_of({}, **ALL_BIASED, positions="alibi", feed_forward="gelu_tanh"), weights)


# --------------------------------------------------------------------------- by hand


def by_hand(model: Decoder, ids_T: Tensor) -> Tensor:
    """Logits in fp64 of a model without positions, biases and groups, written out."""
    model = model.double()
    config = model.config

    def norm(x: Tensor, layer: nn.Module) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + config.norm_epsilon).sqrt() * layer.weight

    def attend(x: Tensor, layer: nn.Module) -> Tensor:
        q, k, v = ((x @ part.weight.T).view(len(x), 4, 8).transpose(0, 1) for part in layer.qkv.children())
        hidden = torch.ones(len(x), len(x)).triu(1).bool()
        weights = (q @ k.transpose(1, 2) / 8**0.5).masked_fill(hidden, -torch.inf).softmax(-1)
        return (weights @ v).transpose(0, 1).flatten(1) @ layer.output.weight.T

    def feed(x: Tensor, layer: nn.Module) -> Tensor:
        return (x @ layer.up.weight.T).clamp(min=0) @ layer.down.weight.T

    x = model.embedding.weight[ids_T]
    alpha = (2 * config.layers) ** 0.25
    for block in model.blocks:
        match config.residual:
            case "pre":
                x = x + attend(norm(x, block.attention_norm), block.attention)
                x = x + feed(norm(x, block.feed_forward_norm), block.feed_forward)
            case "post":
                x = norm(x + attend(x, block.attention), block.attention_norm)
                x = norm(x + feed(x, block.feed_forward), block.feed_forward_norm)
            case "deepnorm":
                x = norm(alpha * x + attend(x, block.attention), block.attention_norm)
                x = norm(alpha * x + feed(x, block.feed_forward), block.feed_forward_norm)
            case "sandwich":
                x = x + norm(attend(norm(x, block.attention_norm), block.attention), block.attention_end_norm)
                x = x + norm(feed(norm(x, block.feed_forward_norm), block.feed_forward), block.feed_forward_end_norm)
            case "parallel":
                normed = norm(x, block.attention_norm)
                x = x + attend(normed, block.attention) + feed(normed, block.feed_forward)
            case "parallel_two_norms":
                fed = feed(norm(x, block.feed_forward_norm), block.feed_forward)
                x = x + attend(norm(x, block.attention_norm), block.attention) + fed
    if config.residual not in ("post", "deepnorm"):
        x = norm(x, model.norm)
    return x @ model.head.weight.T


@pytest.mark.parametrize("residual", BLOCKS)
def test_a_block_adds_and_norms_as_its_formula_says(residual):
    model = seen(Decoder(config_of({}, residual=residual, positions="none", feed_forward="relu")))
    found = logits(model)
    torch.testing.assert_close(found, by_hand(model, IDS).float(), atol=1e-4, rtol=1e-4)


# --------------------------------------------------------------------------- any two differ

WAYS: dict[str, dict[str, dict]] = {
    "norm": {name: {"norm": name} for name in NORMS},
    "residual": {name: {"residual": name} for name in BLOCKS},
    "kv_heads": {"1": {"kv_heads": 1}, "2": {"kv_heads": 2}, "4": {}},
    "window": {"full": {}, "5": {"windows": (5, 5)}, "6": {"windows": (6, 6)}, "mixed": {"windows": (5, None)}},
    "qk_norm": {"without": {}, "with": {"qk_norm": True}},
    "biases": {
        "none": {},
        "qkv": {"qkv_bias": True},
        "attention": {"qkv_bias": True, "output_bias": True},
        "all": {"qkv_bias": True, "output_bias": True, "ffn_bias": True},
    },
    "embedding": {"untied": {}, "tied": {"tied_embeddings": True}},
}


def equally_filled(config: ModelConfig) -> Decoder:
    """A model whose weights depend on their names alone; of fewer key heads, those that there are have equal ones."""
    model = Decoder(config)
    for name, parameter in model.named_parameters():
        random = torch.Generator().manual_seed(sum(map(ord, name)))
        room = torch.randn((128, *parameter.shape[1:]), generator=random) * 0.3
        parameter.data = room[: len(parameter)] + (1.0 if "norm" in name else 0.0)
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize("kind", WAYS)
def test_any_two_of_a_kind_differ_on_equal_weights(kind):
    found = {name: logits(equally_filled(config_of({}, **changes))) for name, changes in WAYS[kind].items()}
    for one, other in combinations(found, 2):
        assert (found[one] - found[other]).abs().max() > 1e-3, (one, other)


def test_a_window_as_long_as_the_sequence_is_none():
    full, wide = (equally_filled(config_of({}, windows=windows)) for windows in ((), (len(IDS), len(IDS))))
    assert torch.equal(logits(full), logits(wide))


# --------------------------------------------------------------------------- initial weights


def test_initial_weights_are_gpt2s():
    config = dataclasses.replace(config_of({}, **ALL_BIASED), width=256, layers=8, ffn_width=1024)
    model = Decoder(config)
    initialize(model, seed=3, deviation=0.05)
    deviations = {name: p.std().item() for name, p in model.named_parameters() if p.dim() == 2}
    for name, found in deviations.items():
        smaller = name.endswith(("attention.output.weight", "feed_forward.down.weight"))
        assert found == pytest.approx(0.05 / (4 if smaller else 1), rel=0.05), name
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            assert (parameter == (1.0 if name.endswith("norm.weight") else 0.0)).all(), name


def test_what_an_expert_adds_to_the_stream_begins_as_small_as_any_feed_forward_layer():
    model = Decoder(dataclasses.replace(config_of({}, experts=3), width=256, layers=8, ffn_width=1024))
    initialize(model, seed=3, deviation=0.05)
    for name, parameter in model.named_parameters():
        if "experts" in name:
            smaller = name.endswith(".down.weight")
            assert parameter.std().item() == pytest.approx(0.05 / (4 if smaller else 1), rel=0.05), name


def test_initial_weights_of_deepnorm_are_its_papers():
    config = dataclasses.replace(config_of({}, residual="deepnorm"), width=256, layers=8, ffn_width=1024, head_dim=64)
    model = Decoder(config)
    initialize(model, seed=3)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2 and name.startswith("blocks."):
            gain = 1.0 if name.endswith(("query.weight", "key.weight")) else (8 * 8) ** -0.25
            expected = gain * (2 / sum(parameter.shape)) ** 0.5
            assert parameter.std().item() == pytest.approx(expected, rel=0.05), name


def test_a_seed_says_all():
    models = [Decoder(config_of({})) for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        initialize(model, seed)
    one, again, other = (torch.cat([p.flatten() for p in model.parameters()]) for model in models)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
