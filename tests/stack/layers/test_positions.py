"""Every way to tell positions apart, against transformers or its formula written out."""

import dataclasses
import math
from itertools import combinations

import pytest
import torch
from transformers import GPTNeoXConfig, LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.falcon.modeling_falcon import build_alibi_tensor as build_falcons_alibi_tensor
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXRotaryEmbedding, apply_rotary_pos_emb

from evalharness.stack.config import LinearScaling, Llama3Scaling, ModelConfig, NTKScaling, YarnScaling
from evalharness.stack.layers.positions import POSITIONS, alibi_slopes
from evalharness.stack.layers.rotary import rotary_frequencies, sharpening

CONFIG = ModelConfig(
    vocab_size=10,
    width=32,
    layers=1,
    heads=4,
    kv_heads=2,
    head_dim=8,
    ffn_width=8,
    norm_epsilon=1e-5,
    max_length=1024,
)
AT = torch.tensor([0, 1, 2, 17, 255, 256, 257, 800])
QK = torch.randn(len(AT), 6, 8, generator=torch.Generator().manual_seed(1))


def made(name: str, **changes):
    return POSITIONS[name](dataclasses.replace(CONFIG, positions=name, **changes))


def placed(name: str, qk_TND: torch.Tensor = QK, at: torch.Tensor = AT, **changes):
    """Queries and keys in fp64 or what they come in."""
    positions = made(name, **changes)
    return positions.place(qk_TND, 4, positions.prepare(at, qk_TND.dtype))


def scores(name: str, qk_TND: torch.Tensor = QK, at: torch.Tensor = AT, **changes) -> torch.Tensor:
    """What attention gets before the softmax, of all heads, [H, T, T]."""
    queries, keys = placed(name, qk_TND, at, **changes)
    keys = keys.repeat_interleave(2, dim=1)
    return torch.einsum("thd,shd->hts", queries.double(), keys.double()) * made(name).scale


def test_none_changes_nothing():
    queries, keys = placed("none")
    assert torch.equal(torch.cat((queries, keys), dim=1), QK)
    x = torch.randn(len(AT), 32)
    assert torch.equal(made("none").embedded(x, AT), x)


def test_sinusoidal_is_its_formula():
    found = made("sinusoidal").embedded(torch.zeros(len(AT), 32), AT)
    for row, position in enumerate(AT.tolist()):
        for number in range(32):
            angle = position / 10_000 ** (number // 2 * 2 / 32)
            expected = math.sin(angle) if number % 2 == 0 else math.cos(angle)
            assert found[row, number].item() == pytest.approx(expected, abs=1e-4)


def test_sinusoidal_takes_an_odd_width():
    found = made("sinusoidal", width=5).embedded(torch.zeros(len(AT), 5), AT)
    torch.testing.assert_close(found[:, 4], (AT / 10_000 ** (4 / 5)).sin())


def test_learned_adds_a_row_of_its_table():
    positions = made("learned")
    positions.weight.data = torch.randn(1024, 32, generator=torch.Generator().manual_seed(2))
    x = torch.randn(2, len(AT), 32)
    torch.testing.assert_close(positions.embedded(x, AT), x + positions.weight[AT])


@pytest.mark.parametrize("turned", [2, 4, 8])
def test_rope_turns_as_gpt_neox_does_whole_or_in_part(turned):
    config = GPTNeoXConfig(
        hidden_size=32,
        num_attention_heads=4,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": turned / 8},
    )
    cos, sin = GPTNeoXRotaryEmbedding(config)(QK, AT[None])
    queries, keys = QK[None, :, :4].transpose(1, 2), QK[None, :, 4:].transpose(1, 2)
    expected = apply_rotary_pos_emb(queries, keys, cos, sin)
    found = placed("rope", rotary_dim=turned, rope_theta=500.0)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs[0].transpose(0, 1))
        if turned < 8:
            assert torch.equal(ours[..., turned:], theirs[0].transpose(0, 1)[..., turned:])


# --------------------------------------------------------------------------- scalings

HUB_SCALINGS = {
    "linear": (LinearScaling(factor=4.0), {"rope_type": "linear", "factor": 4.0}),
    "yarn": (
        YarnScaling(factor=8.0, original_length=256),
        {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 256},
    ),
    "yarn with its own turns": (
        YarnScaling(factor=8.0, slow_turns=2.0, fast_turns=16.0, original_length=4096),
        {
            "rope_type": "yarn",
            "factor": 8.0,
            "beta_slow": 2.0,
            "beta_fast": 16.0,
            "original_max_position_embeddings": 4096,
        },
    ),
    "yarn by 1": (
        YarnScaling(factor=1.0, original_length=256),
        {"rope_type": "yarn", "factor": 1.0, "original_max_position_embeddings": 256},
    ),
    "llama3": (
        Llama3Scaling(factor=8.0, low_frequency_factor=1.5, high_frequency_factor=5.0, original_length=512),
        {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.5,
            "high_freq_factor": 5.0,
            "original_max_position_embeddings": 512,
        },
    ),
}


@pytest.mark.parametrize(("dim", "theta"), [(64, 10_000.0), (16, 500_000.0)])
@pytest.mark.parametrize("name", HUB_SCALINGS)
def test_scaled_frequencies_are_those_of_transformers(name, dim, theta):
    ours, theirs = HUB_SCALINGS[name]
    config = LlamaConfig(
        hidden_size=2 * dim,
        num_attention_heads=2,
        max_position_embeddings=4096,
        rope_parameters=theirs | {"rope_theta": theta},
    )
    expected, sharper = ROPE_INIT_FUNCTIONS[theirs["rope_type"]](config, "cpu")
    torch.testing.assert_close(rotary_frequencies(dim, theta, ours), expected, rtol=1e-6, atol=0)
    assert sharpening(ours) == pytest.approx(sharper)


def test_ntk_is_the_dynamic_scaling_of_transformers_at_its_length():
    """Theirs has the base of ours, with its factor at 1, at a sequence `factor` times as long as the model's."""
    config = LlamaConfig(
        hidden_size=128,
        num_attention_heads=2,
        max_position_embeddings=512,
        rope_parameters={"rope_type": "dynamic", "factor": 1.0, "rope_theta": 10_000.0},
    )
    expected, _ = ROPE_INIT_FUNCTIONS["dynamic"](config, "cpu", seq_len=3 * 512)
    found = rotary_frequencies(64, 10_000.0, NTKScaling(factor=3.0))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    plain = rotary_frequencies(64, 10_000.0)
    assert found[0] == plain[0]
    assert (plain[-1] / found[-1]).item() == pytest.approx(3.0, rel=1e-5)


def test_yarn_sharpens_the_scores():
    """At a distance of 0 nothing is turned, and the sharpening is left."""
    scaling = YarnScaling(factor=8.0, original_length=64)
    plain, scaled = scores("rope"), scores("rope", rope_scaling=scaling)
    expected = plain.diagonal(dim1=1, dim2=2) * (0.1 * math.log(8) + 1) ** 2
    torch.testing.assert_close(scaled.diagonal(dim1=1, dim2=2), expected, rtol=1e-5, atol=1e-5)


# --------------------------------------------------------------------------- xPos and ALiBi


@pytest.mark.parametrize("turned", [4, 8])
def test_xpos_fades_each_pair_by_the_distance(turned):
    """Sun et al. 2022, equation 16: scores of RoPE with each pair times z^((m - n) / 512)."""
    queries, keys = QK[:, :4].double(), QK[:, 4:].double()
    half = turned // 2
    found = scores("xpos", QK, rotary_dim=turned)
    for head in range(4):
        for row, m in enumerate(AT.tolist()):
            for column, n in enumerate(AT.tolist()):
                q, k = queries[row, head], keys[column, head // 2]
                total = float(q[turned:] @ k[turned:])
                for pair in range(half):
                    z = (2 * pair / turned + 0.4) / 1.4
                    angle = (m - n) * 10_000.0 ** (-2 * pair / turned)
                    real = q[pair] * k[pair] + q[pair + half] * k[pair + half]
                    imaginary = q[pair] * k[pair + half] - q[pair + half] * k[pair]
                    total += z ** ((m - n) / 512) * float(real * math.cos(angle) + imaginary * math.sin(angle))
                assert found[head, row, column].item() == pytest.approx(total / math.sqrt(8), rel=1e-3, abs=1e-3)


def test_xpos_reaches_to_its_limit():
    at = torch.tensor([0, 1, 32_766, 32_767])
    found = scores("xpos", QK[:4], at)
    near = scores("xpos", QK[2:4], torch.tensor([1000, 1001]))
    torch.testing.assert_close(found[:, 2:, 2:], near, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("heads", [1, 2, 3, 8, 12, 16, 20])
def test_slopes_are_those_of_bloom(heads):
    theirs = build_alibi_tensor(torch.ones(1, 2), heads, torch.float32)[:, 0, 1]
    torch.testing.assert_close(torch.tensor(alibi_slopes(heads)), theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_alibi_falls_with_the_distance_by_each_heads_slope(dtype):
    """To the last bit of what is added: 4 heads have slopes that are powers of 2."""
    at = torch.tensor([0, 1, 255, 256, 257, 511, 512, 1000, 60_000, 60_001])
    queries = torch.zeros(len(at), 6, 8, dtype=dtype)
    distance = (at[:, None] - at[None, :]).double()
    slopes = torch.tensor([2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8]).double()
    assert torch.equal(scores("alibi", queries, at), -slopes[:, None, None] * distance)
    qk = torch.randn(len(at), 6, 8, generator=torch.Generator().manual_seed(4)).to(dtype)
    expected = scores("none", qk, at) - slopes[:, None, None] * distance
    rounding = 1e-6 if dtype == torch.float32 else 0.02  # of queries that are scaled
    torch.testing.assert_close(scores("alibi", qk, at), expected, atol=rounding, rtol=0)


def test_alibi_is_exact_in_bf16_for_any_slope_as_it_is_rounded():
    at = torch.tensor([3, 700, 40_001, 65_535])
    positions = made("alibi", heads=12, kv_heads=12)
    queries, keys = positions.prepare(at, torch.bfloat16)
    found = torch.einsum("thd,sgd->hts", queries.double(), keys.double())
    slopes = torch.tensor(alibi_slopes(12)).to(torch.bfloat16).double()
    assert torch.equal(found, -slopes[:, None, None] * (at[:, None] - at[None, :]).double())


def test_alibi_numbers_of_keys_are_exact_in_bf16():
    at = torch.arange(65_536)
    _, keys = made("alibi").prepare(at, torch.bfloat16)
    assert torch.equal(keys[:, 0, 0].float() * 256 + keys[:, 0, 1].float(), at.float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("heads", [4, 6])
def test_rounded_alibi_is_falcons(heads, dtype):
    at = torch.arange(1000)
    positions = made("alibi_rounded", heads=heads, kv_heads=heads)
    queries, keys = positions.place(torch.zeros(1000, 2 * heads, 8, dtype=dtype), heads, positions.prepare(at, dtype))
    found = torch.einsum("thd,shd->hts", queries[:1].double(), keys.double()) * positions.scale
    theirs = build_falcons_alibi_tensor(torch.ones(1, 1000, dtype=torch.long), heads, dtype).double() / 8**0.5
    torch.testing.assert_close(found, theirs, atol=1e-12, rtol=1e-12)


# --------------------------------------------------------------------------- all of them


def test_any_two_differ_on_equal_weights():
    scalings = [LinearScaling(factor=4.0), NTKScaling(factor=4.0), YarnScaling(factor=4.0, original_length=64)]
    scalings.append(Llama3Scaling(factor=4.0, original_length=64))
    found = {name: scores(name) for name in ("none", "rope", "xpos", "alibi")}
    found |= {type(scaling).__name__: scores("rope", rope_scaling=scaling) for scaling in scalings}
    found["partial"] = scores("rope", rotary_dim=4)
    found["theta"] = scores("rope", rope_theta=500.0)
    for one, other in combinations(found, 2):
        assert (found[one] - found[other]).abs().max() > 1e-3, (one, other)
    x = torch.zeros(len(AT), 32)
    learned = made("learned")
    torch.nn.init.normal_(learned.weight, generator=torch.Generator().manual_seed(1))
    embedded = [made("none").embedded(x, AT), made("sinusoidal").embedded(x, AT), learned.embedded(x, AT)]
    for one, other in combinations(embedded, 2):
        assert (one - other).abs().max() > 1e-2


@pytest.mark.parametrize("name", POSITIONS)
def test_a_batch_is_its_sequences(name):
    """Positions of their own for each sequence, as where documents begin anew."""
    groups = 4 if name == "alibi_rounded" else 2
    positions = made(name, kv_heads=groups)
    if name == "learned":
        torch.nn.init.normal_(positions.weight, generator=torch.Generator().manual_seed(1))
    at_BT = torch.stack((AT, AT.flip(0)))
    qk_BTND, x_BTW = torch.randn(2, len(AT), 4 + groups, 8), torch.randn(2, len(AT), 32)
    together = positions.place(qk_BTND, 4, positions.prepare(at_BT, torch.float32))
    for row in range(2):
        alone = positions.place(qk_BTND[row], 4, positions.prepare(at_BT[row], torch.float32))
        for ours, theirs in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[row], theirs)
        torch.testing.assert_close(positions.embedded(x_BTW, at_BT)[row], positions.embedded(x_BTW[row], at_BT[row]))
