"""Feed-forward layers against their formulas and the layers of transformers."""

import math
from itertools import combinations

import pytest
import torch
from torch import Tensor, nn
from transformers import GemmaConfig, GPT2Config, LlamaConfig
from transformers.models.gemma.modeling_gemma import GemmaMLP
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP
from transformers.models.llama.modeling_llama import LlamaMLP

from evalharness.stack.config import GATED
from evalharness.stack.kernels.op import exactly
from evalharness.stack.layers.feedforward import FEED_FORWARDS, feed_forward

WIDTH, INNER = 16, 40
X = torch.randn(6, WIDTH, generator=torch.Generator().manual_seed(1)) * 2


def relu(x: Tensor) -> Tensor:
    return x.clamp(min=0)


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def gelu_tanh(x: Tensor) -> Tensor:
    return x / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def swish(x: Tensor) -> Tensor:
    return x / (1 + (-x).exp())


FORMULAS = {
    "relu": relu,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "swish": swish,
    "reglu": relu,
    "geglu": gelu,
    "geglu_tanh": gelu_tanh,
    "swiglu": swish,
}


def made(name: str, *, bias: bool = False) -> nn.Module:
    """The layer, with equal weights for all names."""
    layer = feed_forward(name, WIDTH, INNER, bias=bias)
    for path, parameter in layer.named_parameters():
        random = torch.Generator().manual_seed(len(path))
        parameter.data = torch.randn(parameter.shape, generator=random) * 0.5
    return layer.requires_grad_(False)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", FEED_FORWARDS)
def test_a_layer_is_its_formula(name, bias):
    layer, activation = made(name, bias=bias).double(), FORMULAS[name]
    x = X.double()
    inner = activation(layer.gate_up.gate(x)) * layer.gate_up.up(x) if name in GATED else activation(layer.up(x))
    expected = inner @ layer.down.weight.T + (layer.down.bias if bias else 0)
    torch.testing.assert_close(layer(x), expected)
    biases = [path for path, _ in layer.named_parameters() if path.endswith("bias")]
    assert len(biases) == (0 if not bias else 3 if name in GATED else 2)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("swiglu", LlamaMLP(LlamaConfig(hidden_size=WIDTH, intermediate_size=INNER, num_attention_heads=1))),
        ("geglu_tanh", GemmaMLP(GemmaConfig(hidden_size=WIDTH, intermediate_size=INNER))),
    ],
)
def test_gated_layers_are_those_of_transformers(name, theirs):
    layer = made(name)
    theirs.load_state_dict(
        {
            "gate_proj.weight": layer.gate_up.gate.weight,
            "up_proj.weight": layer.gate_up.up.weight,
            "down_proj.weight": layer.down.weight,
        }
    )
    torch.testing.assert_close(layer(X), theirs(X))


def test_the_plain_layer_is_that_of_gpt2():
    layer, theirs = made("gelu_tanh", bias=True), GPT2MLP(INNER, GPT2Config(n_embd=WIDTH)).eval()
    theirs.load_state_dict(
        {
            "c_fc.weight": layer.up.weight.T,
            "c_fc.bias": layer.up.bias,
            "c_proj.weight": layer.down.weight.T,
            "c_proj.bias": layer.down.bias,
        }
    )
    torch.testing.assert_close(layer(X), theirs(X))


def test_any_two_differ_on_equal_weights():
    outputs = {name: made(name)(X) for name in FEED_FORWARDS}
    for one, other in combinations(outputs, 2):
        assert (outputs[one] - outputs[other]).abs().max() > 1e-4, (one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("inner", [1365, 1536])
@pytest.mark.parametrize("name", FEED_FORWARDS)
def test_exact_bits_do_not_depend_on_where_a_number_lies(name, inner, dtype):
    """Threads divide numbers evenly: parts then end within vectors of torch's."""
    layer = feed_forward(name, 1, inner).to(dtype)
    x = torch.randn(264, inner * (1 + (name in GATED)), generator=torch.Generator().manual_seed(2)).mul_(3).to(dtype)
    for count in (1, 3, 5):
        torch.set_num_threads(count)
        with torch.inference_mode(), exactly():
            found = layer.between(x)
            for rows in (8, 24, 40, 88, 104, 136, 200):
                assert torch.equal(layer.between(x[:rows]), found[:rows]), (count, rows)
    expected = layer.between(x.double())
    plain = layer.between(x)
    assert found.dtype == dtype
    assert (found - expected).abs().max() <= 2 * (plain - expected).abs().max()
